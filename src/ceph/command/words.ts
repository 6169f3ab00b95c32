import { isMicrocephError, MicrocephError } from "../../errors/microceph-error.ts";
import type { Json } from "../../ids/json.ts";

/** Flags that Ceph's monitors take as words. All others would be options of the `ceph` program itself. */
const flags = new Set([
  "--yes-i-really-mean-it",
  "--yes-i-really-really-mean-it",
  "--yes-i-really-mean-it-not-faking",
  "--force",
  "--recover",
]);

/** Words that a line on the standard input of `ceph` cannot carry; they need a process of their own. */
export function needsOwnProcess(words: readonly string[]): boolean {
  return words[0] === "tell" || words[0] === "injectargs" || words[0] === "daemon" || words[0] === "ping";
}

/** Throws USAGE for words that would be taken for something else than one argument of the command. */
export function checkWords(words: readonly string[]): void {
  if (words.length === 0 || words[0] === "") throw new MicrocephError("USAGE", "an empty Ceph command");
  for (const word of words) {
    if (/[\n\r\0\u0085\u2028\u2029\v\f]/.test(word)) {
      throw new MicrocephError("USAGE", "an argument of a Ceph command must be one line", {
        data: { command: words[0] },
      });
    }
    if (word.startsWith("-") && !flags.has(word)) {
      throw new MicrocephError("USAGE", "an argument of a Ceph command must not start with '-'", {
        data: { command: words[0], argument: word.slice(0, 80) },
      });
    }
  }
}

/** One line from which Python's `shlex.split` makes exactly these words again. */
export function quoteWords(words: readonly string[]): string {
  return words
    .map((word) => (/^[A-Za-z0-9_./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`))
    .join(" ");
}

export interface Refusal {
  /** `ENOENT`, `EPERM` …; `EINVAL` with `invalid command` when the program knows no such command. */
  readonly errno: string;
  readonly message: string;
}

/** The error in what `ceph` wrote to its standard error; undefined when it succeeded. */
export function refusalIn(stderr: string): Refusal | undefined {
  const match = /^Error (E[A-Z0-9]+|Unknown): ?([\s\S]*)$/m.exec(stderr);
  if (match?.[1]) return { errno: match[1], message: (match[2] ?? "").trim() };
  const target = /^error handling command target: (.*)$/m.exec(stderr);
  return target ? { errno: "EINVAL", message: target[1] ?? "" } : undefined;
}

/** The error of a refused command. Its words are named without their arguments, which may be secrets. */
export function refusedError(words: readonly string[], refusal: Refusal): MicrocephError {
  return new MicrocephError(
    "CEPH_REFUSED",
    `Ceph refused \`${words.slice(0, 3).join(" ")}\`: ${refusal.errno}: ${refusal.message.slice(0, 1000)}`,
    { data: { errno: refusal.errno, command: words.slice(0, 3).join(" ") } },
  );
}

export function isRefusal(error: unknown, errno: string): error is MicrocephError {
  return error instanceof MicrocephError && error.code === "CEPH_REFUSED" && error.data.errno === errno;
}

/** Ceph had no answer: no monitor could be reached, or none of those reached has a quorum. */
export function isUnanswered(error: unknown): boolean {
  return isMicrocephError(error, "CEPH_UNREACHABLE") || isMicrocephError(error, "DEADLINE_EXCEEDED");
}

/** JSON where the output is JSON, else its text; null when there is none. */
export function parseOutput(text: string): Json {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  try {
    return JSON.parse(trimmed) as Json;
  } catch {
    return trimmed;
  }
}
