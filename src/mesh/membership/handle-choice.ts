import { type Handle, handle } from "../../ids/ids.ts";

const maxLabel = 63;

/**
 * The handle of a new member: its host name as an RFC 1123 label, with -2, -3, … when the cluster has ever
 * given that one away.
 */
export function chooseHandle(name: string, taken: ReadonlySet<string>): Handle {
  const base = label(name.split(".")[0] ?? "", maxLabel) || "node";
  if (!taken.has(base)) return handle(base);
  for (let number = 2; ; number += 1) {
    const suffix = `-${number}`;
    const candidate = label(base, maxLabel - suffix.length) + suffix;
    if (!taken.has(candidate)) return handle(candidate);
  }
}

function label(text: string, length: number): string {
  return text
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, length + 1)
    .replace(/^-+/, "")
    .slice(0, length)
    .replace(/-+$/, "");
}
