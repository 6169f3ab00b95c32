import { byteLength } from "./names.ts";

/** Bytes of all strings of a TXT record; above this RFC 6763 section 6.2 discourages. */
export const maxTextBytes = 1300;
/** Bytes of one string, its length must fit one byte. */
const maxStringBytes = 255;
/** Printable ASCII without "=" (RFC 6763 section 6.4), short for ours, longer ones of others are read. */
const ownKey = /^[\x20-\x3c\x3e-\x7e]{1,9}$/;
const anyKey = /^[\x20-\x3c\x3e-\x7e]{1,64}$/;

/** Strings of a TXT record, `txtvers` first. Throws a TypeError for what the format cannot carry. */
export function encodeText(txt: Readonly<Record<string, string>>): Uint8Array[] {
  const keys = Object.keys(txt).sort((one, other) => Number(other === "txtvers") - Number(one === "txtvers"));
  const strings = keys.map((key) => {
    const text = `${key}=${txt[key] ?? ""}`;
    if (!ownKey.test(key)) throw new TypeError(`not a TXT key: ${JSON.stringify(key).slice(0, 40)}`);
    if (byteLength(text) > maxStringBytes) throw new TypeError(`the TXT value of ${key} is too long`);
    return new TextEncoder().encode(text);
  });
  if (textBytes(strings) > maxTextBytes) throw new TypeError(`the TXT record exceeds ${maxTextBytes} bytes`);
  // An empty TXT record is one empty string, never no string at all (RFC 6763 section 6.1).
  return strings.length > 0 ? strings : [new Uint8Array()];
}

export function textBytes(strings: readonly Uint8Array[]): number {
  return strings.reduce((sum, text) => sum + text.length + 1, 0);
}

/** Keys in lower case, the first of equal ones wins; strings without a key are silently ignored. */
export function decodeText(strings: readonly Uint8Array[]): Record<string, string> {
  const found = new Map<string, string>();
  for (const bytes of strings) {
    const text = new TextDecoder().decode(bytes);
    const end = text.indexOf("=");
    const key = (end < 0 ? text : text.slice(0, end)).toLowerCase();
    if (anyKey.test(key) && !found.has(key)) found.set(key, end < 0 ? "" : text.slice(end + 1));
  }
  return Object.fromEntries(found);
}
