import { errorCodes } from "../errors/codes.ts";
import { type ExitCode, isMicrocephError, MicrocephError, messageOf } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import { paintFor } from "./render/paint.ts";
import { printable, printableJson } from "./render/sanitize.ts";

/** Print `Error: … [CODE]` and `Hint: …` on standard error; the exit code. */
export function reportFailure(thrown: unknown, io: CliIo, options: { readonly debug: boolean }): ExitCode {
  const error = isMicrocephError(thrown)
    ? thrown
    : new MicrocephError("INTERNAL", messageOf(thrown), { cause: thrown });
  const paint = paintFor(io.stderr.isTTY, io.env);
  io.stderr.write(`${paint("red", "Error:")} ${printable(error.message)} [${error.code}]\n`);
  for (const line of candidateLines(error)) io.stderr.write(`  ${printable(line)}\n`);
  io.stderr.write(`${paint("dim", "Hint:")} ${remedyOf(error)}\n`);
  if (options.debug) {
    io.stderr.write(`Data: ${printableJson(error.data)}\n`);
    const stack = thrown instanceof Error ? thrown.stack : undefined;
    if (stack) io.stderr.write(`${stack}\n`);
  }
  return error.exitCode;
}

function remedyOf(error: MicrocephError): string {
  // A fault of this program, not of the daemon: its log would not help.
  return error.cause !== undefined && error.code === "INTERNAL"
    ? "Run it again with --debug and report what it prints."
    : errorCodes[error.code].remedy;
}

/** Nodes that an ambiguous name may have meant, unless the message has them. */
function candidateLines(error: MicrocephError): string[] {
  const { candidates } = error.data;
  if (!Array.isArray(candidates)) return [];
  return candidates
    .filter((candidate): candidate is { id: string; name: string } => typeof candidate?.id === "string")
    .filter(({ id }) => !error.message.includes(id))
    .map(({ id, name }) => `${name} ${id}`);
}
