export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan" | "alarm";

/** Dresses a text; the plain one leaves it as it is. */
export type Paint = (style: Style, text: string) => string;

const codes: Readonly<Record<Style, string>> = {
  bold: "1",
  dim: "2",
  red: "31",
  green: "32",
  yellow: "33",
  cyan: "36",
  alarm: "1;97;41",
};

export const plain: Paint = (_style, text) => text;

/** ECMA-48 colours. */
export const coloured: Paint = (style, text) =>
  text === "" ? "" : `\u001b[${codes[style]}m${text}\u001b[0m`;

/** Colours on a terminal that has them, unless NO_COLOR is set (no-color.org). */
export function paintFor(isTTY: boolean, env: Readonly<Record<string, string | undefined>>): Paint {
  return isTTY && !env.NO_COLOR && env.TERM !== "dumb" ? coloured : plain;
}
