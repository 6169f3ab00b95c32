import { errorCodes } from "../../src/errors/codes.ts";

const exits: Readonly<Record<number, string>> = {
  1: "failed",
  2: "not understood",
  3: "not ready",
  4: "refused for safety",
};

/** docs/reference/errors.md: what each code means and what to do. */
export function errorsPage(): string {
  const codes = Object.entries(errorCodes).sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    "# Errors, by code",
    "<!-- Written by scripts/generate-docs.ts from src/errors/codes.ts. -->",
    "A refusal ends with its code: `Error: … [CODE]`. A code keeps its meaning for ever, the words around it do not.",
    ...codes.flatMap(([code, { http, exit, meaning, remedy }]) => [
      `## ${code}`,
      meaning,
      `**What to do:** ${remedy}`,
      `Exit code ${exit} (${exits[exit]}), HTTP status ${http}.`,
    ]),
  ]
    .join("\n\n")
    .concat("\n");
}
