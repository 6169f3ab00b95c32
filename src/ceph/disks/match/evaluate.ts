import { MicrocephError } from "../../../errors/microceph-error.ts";
import type { Expression, Value } from "./parse.ts";
import { parseSize } from "./size.ts";

/** What an expression may ask of a disk. */
export interface MatchFacts {
  readonly type: string;
  readonly vendor: string;
  readonly model: string;
  /** Bytes. */
  readonly size: number;
  /** Its stable path. */
  readonly devnode: string;
  /** Short name of the node. */
  readonly host: string;
}

/** Whether a pattern, case-insensitive, is found in a text; throws when that takes too long. */
export type PatternTest = (pattern: string, text: string) => boolean;

/** Whether a disk matches. Throws USAGE for a comparison that has no meaning, and what `test` throws. */
export function matches(expression: Expression, facts: MatchFacts, test: PatternTest): boolean {
  return truth(evaluate(expression, facts, test));
}

function evaluate(expression: Expression, facts: MatchFacts, test: PatternTest): Value {
  switch (expression.kind) {
    case "value":
      return expression.value;
    case "variable": {
      const value = facts[expression.name];
      return typeof value === "string" && !["devnode", "host"].includes(expression.name)
        ? value.toLowerCase()
        : value;
    }
    case "call": {
      const argument = (index: number): Value => {
        const found = expression.arguments[index];
        // The parser has counted them.
        return found === undefined ? false : evaluate(found, facts, test);
      };
      const list = expression.arguments;
      switch (expression.name) {
        case "and":
          return list.every((one) => truth(evaluate(one, facts, test)));
        case "or":
          return list.some((one) => truth(evaluate(one, facts, test)));
        case "not":
          return !truth(argument(0));
        case "in": {
          const wanted = argument(0);
          return list.slice(1).some((one) => equal(wanted, evaluate(one, facts, test)));
        }
        case "re":
          return test(textOf(argument(0)), textOf(argument(1)));
        case "eq":
          return equal(argument(0), argument(1));
        case "ne":
          return !equal(argument(0), argument(1));
        case "gt":
          return order(argument(0), argument(1)) > 0;
        case "ge":
          return order(argument(0), argument(1)) >= 0;
        case "lt":
          return order(argument(0), argument(1)) < 0;
        case "le":
          return order(argument(0), argument(1)) <= 0;
      }
    }
  }
}

function truth(value: Value): boolean {
  return typeof value === "boolean" ? value : value !== "" && value !== 0;
}

function textOf(value: Value): string {
  return typeof value === "string" ? value : String(value);
}

function equal(a: Value, b: Value): boolean {
  if (typeof a === "number" && typeof b === "string") return a === parseSize(b);
  if (typeof b === "number" && typeof a === "string") return b === parseSize(a);
  return typeof a === typeof b ? folded(a) === folded(b) : folded(textOf(a)) === folded(textOf(b));
}

function folded(value: Value): Value {
  return typeof value === "string" ? value.toLowerCase() : value;
}

/** Negative, 0 or positive, as for `sort`. */
function order(a: Value, b: Value): number {
  if (typeof a === "number" || typeof b === "number") return numberOf(a) - numberOf(b);
  const [left, right] = [textOf(a), textOf(b)];
  return left === right ? 0 : left < right ? -1 : 1;
}

function numberOf(value: Value): number {
  const number = typeof value === "string" ? parseSize(value) : Number(value);
  if (number === undefined) {
    throw new MicrocephError("USAGE", `cannot compare number with non-numeric string '${value}'`);
  }
  return number;
}
