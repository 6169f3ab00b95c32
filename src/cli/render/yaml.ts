import { printableJson } from "./sanitize.ts";

/** A text that YAML 1.1 and 1.2 both read as that text without quotes. */
const bare = /^[A-Za-z_/][A-Za-z0-9_./+-]*( [A-Za-z0-9_./+-]+)*$/;
const reserved = /^(true|false|null|yes|no|on|off|y|n)$/i;

/**
 * JSON data as block-style YAML. Written here because a YAML library takes a third of the program's start-up;
 * whatever is not plainly a word is quoted as in JSON, which YAML reads too.
 */
export function yamlText(data: unknown): string {
  const lines = block(data, "");
  return `${typeof lines === "string" ? lines : lines.join("\n")}\n`;
}

/** A scalar or empty collection as one text, anything else as lines. */
function block(value: unknown, indent: string): string | string[] {
  if (typeof value === "string") return scalar(value);
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    return value.flatMap((item) => {
      const inner = block(item, `${indent}  `);
      if (typeof inner === "string") return `${indent}- ${inner}`;
      // The first line of an item shares the line of its dash.
      return inner.map((line, at) => (at === 0 ? `${indent}- ${line.slice(indent.length + 2)}` : line));
    });
  }
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    if (entries.length === 0) return "{}";
    return entries.flatMap(([key, item]) => {
      const inner = block(item, `${indent}  `);
      const head = `${indent}${scalar(key)}:`;
      return typeof inner === "string" ? `${head} ${inner}` : [head, ...inner];
    });
  }
  return JSON.stringify(value ?? null);
}

function scalar(text: string): string {
  return bare.test(text) && !reserved.test(text) ? text : printableJson(text);
}
