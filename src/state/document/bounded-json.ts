import type { Json } from "../../ids/json.ts";

/** Nesting allowed in stored JSON: later walks over it recurse. */
export const maxDepth = 16;

/** Parse JSON text of bounded size (characters) and depth; throws RangeError or SyntaxError. */
export function parseBoundedJson(text: string, maxLength: number): Json {
  if (text.length > maxLength) throw new RangeError(`longer than ${maxLength} characters`);
  const value = JSON.parse(text) as Json;
  let level: Json[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > maxDepth) throw new RangeError(`nested deeper than ${maxDepth} levels`);
    level = level.flatMap((each) => (each !== null && typeof each === "object" ? Object.values(each) : []));
  }
  return value;
}
