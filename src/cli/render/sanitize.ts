/**
 * Names, addresses and texts come from the network: a control character in them could rewrite the terminal,
 * a bidirectional one could disguise a name.
 */
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** The text with every line break and tab as a blank and everything else unprintable as U+FFFD. */
export function printable(text: string): string {
  return text.replace(/[\n\r\t]+/g, " ").replace(unprintable, "\ufffd");
}

/** The same for every string in some data, keys included. */
export function printableData<T>(value: T): T {
  if (typeof value === "string") return printable(value) as T;
  if (Array.isArray(value)) return value.map(printableData) as T;
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [printable(key), printableData(item)]),
    ) as T;
  }
  return value;
}

/** JSON text in which everything unprintable is escaped: still the same data to a parser. */
export function printableJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, null, indent) ?? "null";
  return text.replace(unprintable, (character) =>
    character === "\n"
      ? character
      : [...Array(character.length).keys()]
          .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`)
          .join(""),
  );
}
