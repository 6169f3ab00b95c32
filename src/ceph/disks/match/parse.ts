import { MicrocephError } from "../../../errors/microceph-error.ts";
import { parseSize } from "./size.ts";

export const variables = ["type", "vendor", "model", "size", "devnode", "host"] as const;
export type Variable = (typeof variables)[number];

/** Names of the functions with the fewest and the most arguments each takes. */
const arities = {
  and: [0, Number.POSITIVE_INFINITY],
  or: [0, Number.POSITIVE_INFINITY],
  not: [1, 1],
  in: [2, Number.POSITIVE_INFINITY],
  re: [2, 2],
  eq: [2, 2],
  ne: [2, 2],
  gt: [2, 2],
  ge: [2, 2],
  lt: [2, 2],
  le: [2, 2],
} as const satisfies Record<string, readonly [number, number]>;
export type FunctionName = keyof typeof arities;

export type Value = string | number | boolean;

export type Expression =
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "variable"; readonly name: Variable }
  | {
      readonly kind: "call";
      readonly name: FunctionName;
      readonly arguments: readonly Expression[];
      readonly at: number;
    };

/** Characters of an expression, calls within calls, and characters of a regular expression. */
export const longestExpression = 10 * 1024;
const deepestCall = 64;
const longestPattern = 1000;

interface Token {
  readonly kind: "(" | ")" | "," | "@" | "word" | "number" | "string" | "end";
  readonly text: string;
  /** Column, from 1. */
  readonly at: number;
}

/** Parse an expression. Throws USAGE with what is wrong and the column. */
export function parseMatch(text: string): Expression {
  if (text.length > longestExpression) refuse(`it is longer than ${longestExpression} characters`, 1);
  const tokens = tokensOf(text);
  let next = 0;

  const take = (): Token => tokens[next++] ?? { kind: "end", text: "", at: text.length + 1 };
  const peek = (): Token => tokens[next] ?? { kind: "end", text: "", at: text.length + 1 };

  function expression(depth: number): Expression {
    const token = take();
    switch (token.kind) {
      case "string":
        return { kind: "value", value: token.text };
      case "number": {
        const value = parseSize(token.text);
        if (value === undefined) refuse(`"${token.text}" is no number and no size`, token.at);
        return { kind: "value", value };
      }
      case "@": {
        const name = take();
        const found = variables.find((one) => one === name.text.toLowerCase());
        if (name.kind !== "word" || found === undefined) {
          refuse(`there is no variable @${name.text}; there are @${variables.join(", @")}`, token.at);
        }
        return { kind: "variable", name: found };
      }
      case "word": {
        const word = token.text.toLowerCase();
        if (word === "true" || word === "false") return { kind: "value", value: word === "true" };
        if (!isFunction(word)) {
          // Bare words are texts, as in in(@type, nvme, sata).
          if (peek().kind !== "(") return { kind: "value", value: token.text };
          refuse(
            `there is no function ${token.text}; there are ${Object.keys(arities).join(", ")}`,
            token.at,
          );
        }
        if (take().kind !== "(") refuse(`${word} needs its arguments in parentheses`, token.at);
        if (depth >= deepestCall) refuse("the calls are nested too deeply", token.at);
        const list = argumentList(depth + 1);
        const [fewest, most] = arities[word];
        if (list.length < fewest || list.length > most) {
          const wanted = most === fewest ? `${fewest}` : `at least ${fewest}`;
          refuse(
            `${word}() expects ${wanted} argument${fewest === 1 ? "" : "s"}, got ${list.length}`,
            token.at,
          );
        }
        if (word === "re") checkPattern(list[0], token.at);
        return { kind: "call", name: word, arguments: list, at: token.at };
      }
      case "end":
        return refuse("it ends where an expression should stand", token.at);
      default:
        return refuse(`"${token.text}" stands where an expression should`, token.at);
    }
  }

  function argumentList(depth: number): Expression[] {
    const list: Expression[] = [];
    if (peek().kind === ")") {
      take();
      return list;
    }
    for (;;) {
      list.push(expression(depth));
      const token = take();
      if (token.kind === ")") return list;
      if (token.kind !== ",") refuse('"," or ")" is missing', token.at);
    }
  }

  const parsed = expression(0);
  const rest = take();
  if (rest.kind !== "end") refuse(`"${rest.text}" stands after the end of the expression`, rest.at);
  return parsed;
}

function isFunction(word: string): word is FunctionName {
  return Object.hasOwn(arities, word);
}

/** A pattern that is written out is checked before any disk is looked at. */
function checkPattern(pattern: Expression | undefined, at: number): void {
  if (pattern?.kind !== "value") return;
  const text = String(pattern.value);
  if (text.length > longestPattern) {
    refuse(`regex pattern exceeds maximum length of ${longestPattern} characters`, at);
  }
  try {
    new RegExp(text, "i");
  } catch {
    refuse(`invalid regex pattern: ${text.slice(0, 80)}`, at);
  }
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const rest = text.slice(at);
    const blank = /^\s+/.exec(rest)?.[0];
    if (blank !== undefined) {
      at += blank.length;
      continue;
    }
    const column = at + 1;
    const first = rest[0] ?? "";
    if (first === "(" || first === ")" || first === "," || first === "@") {
      tokens.push({ kind: first, text: first, at: column });
      at += 1;
    } else if (first === "'") {
      const raw = /^'((?:[^']|'')*)'/.exec(rest);
      if (raw === null) refuse("unterminated string literal", column);
      tokens.push({ kind: "string", text: (raw[1] ?? "").replaceAll("''", "'"), at: column });
      at += raw[0].length;
    } else if (first === '"') {
      const quoted = /^"((?:[^"\\\n]|\\.)*)"/.exec(rest);
      if (quoted === null) refuse("unterminated string literal", column);
      tokens.push({ kind: "string", text: unescaped(quoted[1] ?? "", column), at: column });
      at += quoted[0].length;
    } else {
      const word = /^[A-Za-z_][A-Za-z0-9_]*/.exec(rest)?.[0];
      const number = /^-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[A-Za-z]*/.exec(rest)?.[0];
      const found = word ?? number;
      if (found === undefined) refuse(`unexpected character '${first}'`, column);
      tokens.push({ kind: word === undefined ? "number" : "word", text: found, at: column });
      at += found.length;
    }
  }
  return tokens;
}

const escapes: Readonly<Record<string, string>> = { "\\": "\\", '"': '"', n: "\n", t: "\t", r: "\r" };

function unescaped(text: string, at: number): string {
  return text.replace(/\\(.)/g, (_all, character: string) => {
    const plain = escapes[character];
    return plain ?? refuse(`invalid escape sequence '\\${character}'`, at);
  });
}

function refuse(what: string, at: number): never {
  throw new MicrocephError("USAGE", `the match expression cannot be read: ${what} (column ${at})`);
}
