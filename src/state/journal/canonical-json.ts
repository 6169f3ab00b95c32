import type { Json } from "../../ids/json.ts";

/**
 * The one text of a JSON value: members sorted by UTF-16 code unit, no white space. Records are signed and
 * hashed in this form, so that every node computes the same bytes from what it parsed.
 */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(",")}}`;
}
