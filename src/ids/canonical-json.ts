/**
 * The one text of a JSON value: keys sorted by UTF-16 code unit at every level, no white space, `undefined`
 * members left out. What is signed is this text, so both sides get the same bytes. Throws for what JSON has
 * no form for (NaN, functions, cycles run out of stack).
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value !== "object") {
    if (typeof value === "number" && !Number.isFinite(value)) throw new TypeError("not a JSON number");
    const text = JSON.stringify(value);
    if (text === undefined) throw new TypeError(`JSON has no form for ${typeof value}`);
    return text;
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(",")}}`;
}
