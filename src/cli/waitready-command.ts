import { type Command, InvalidArgumentError, Option } from "commander";
import { isMicrocephError, MicrocephError, messageOf } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import { printable } from "./render/sanitize.ts";
import { Session } from "./session.ts";

/** Seconds of one question: the daemon answers sooner when something changes. */
const questionSeconds = 10;
/** Milliseconds until it is asked again where the answer came at once, or nobody answered. */
const pauseMs = 100;
const quietMs = 10_000;

interface WaitOptions {
  readonly timeout: number;
  readonly storage?: boolean;
}

/** `microceph waitready` */
export function addWaitreadyCommand(program: Command, io: CliIo): void {
  program
    .command("waitready")
    .description("Wait until the daemon answers, this node is a member and Ceph's monitors answer")
    .addOption(
      new Option("--timeout <seconds>", "give up after so many seconds; 0: never")
        .default(0)
        .argParser(secondsArgument),
    )
    .option("--storage", "wait also until enough OSDs are up for the largest pool")
    .action(async (options: WaitOptions, command: Command) => {
      const session = new Session(io, command);
      await waitUntilReady(session, options);
    });
}

async function waitUntilReady(session: Session, { timeout, storage }: WaitOptions): Promise<void> {
  const { io } = session;
  const startedAt = io.now();
  let said = { what: "", at: 0 };
  for (;;) {
    const left = timeout > 0 ? timeout * 1000 - (io.now() - startedAt) : Number.POSITIVE_INFINITY;
    const asksFor = Math.min(questionSeconds, Math.max(0, left / 1000));
    const askedAt = io.now();
    // The first question only looks, so that what is waited for is said at once.
    const missing = await whatIsMissing(session, said.what === "" ? 0 : asksFor, storage ?? false);
    if (missing === undefined) return;
    if (io.signal.aborted) throw new MicrocephError("CANCELLED", "no longer waiting");
    const elapsed = io.now() - startedAt;
    if (timeout > 0 && elapsed >= timeout * 1000) {
      throw new MicrocephError("NOT_READY", `not ready after ${timeout} s: ${missing}`);
    }
    if (missing !== said.what || io.now() - said.at >= quietMs) {
      said = { what: missing, at: io.now() };
      io.stderr.write(`Waiting: ${printable(missing)}\n`);
    }
    const rest = Math.min(pauseMs - (io.now() - askedAt), left);
    if (rest > 0) await io.pause(rest);
  }
}

/** What is still missing, for people; undefined when all is there. */
async function whatIsMissing(
  session: Session,
  seconds: number,
  storage: boolean,
): Promise<string | undefined> {
  try {
    const state = await session.client.ready(seconds, storage, { signal: session.io.signal });
    if (state.ready && (!storage || state.storage)) return undefined;
    return state.waitingFor ?? (state.ready ? "more OSDs that are up" : "Ceph's monitors");
  } catch (error) {
    // Rights do not come by waiting; a daemon does.
    if (isMicrocephError(error, "PERMISSION_DENIED") || isMicrocephError(error, "USAGE")) throw error;
    return messageOf(error);
  }
}

function secondsArgument(text: string): number {
  const seconds = Number(text);
  if (text.trim() === "" || !Number.isFinite(seconds) || seconds < 0) {
    throw new InvalidArgumentError("It takes a number of seconds, 0 for no limit.");
  }
  return seconds;
}
