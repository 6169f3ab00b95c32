import type { EntryId } from "../../ids/ids.ts";

/** Newest record's number and hash. Every record is written by comparing this key's mod revision. */
export const headKey = "/microceph/head";
export const recordPrefix = "/microceph/record/";
/** Open entries only, so that a new holder reads them all at once; closed ones move to `closedPrefix`. */
export const entryPrefix = "/microceph/entry/";
export const closedPrefix = "/microceph/closed/";
export const secretPrefix = "/microceph/secret/";

const digits = 16;

export function recordKey(revision: number): string {
  return `${recordPrefix}${String(revision).padStart(digits, "0")}`;
}

export function entryKey(entry: EntryId): string {
  return `${entryPrefix}${entry}`;
}

export function closedKey(entry: EntryId): string {
  return `${closedPrefix}${entry}`;
}

/** Throws TypeError when the name is not letters, digits, dots, dashes and underscores. */
export function secretKey(name: string): string {
  if (!/^[\w.-]{1,100}$/.test(name)) throw new TypeError(`not a name of a secret: ${name.slice(0, 100)}`);
  return `${secretPrefix}${name}`;
}
