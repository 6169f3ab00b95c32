import { runCli } from "./program.ts";

/** Exit code of a program ended by Ctrl-C, as shells report it. */
const interrupted = 130;

/** Taken only by commands that wait, because listening for a signal costs 5 ms of start-up. */
let interrupt: AbortController | undefined;
function interruptSignal(): AbortSignal {
  if (interrupt) return interrupt.signal;
  const controller = new AbortController();
  process.on("SIGINT", () => {
    // The first one ends the waiting in good order, the second one the program.
    if (controller.signal.aborted) process.exit(interrupted);
    controller.abort();
  });
  interrupt = controller;
  return controller.signal;
}

let lines: AsyncIterator<string> | undefined;
let reader: { close(): void } | undefined;
/** The next line of standard input; loaded only by the one command that asks. */
async function askOnTerminal(question: string, signal: AbortSignal): Promise<string | null> {
  process.stderr.write(question);
  if (lines === undefined) {
    const { createInterface } = await import("node:readline");
    const input = createInterface({ input: process.stdin, terminal: false });
    reader = input;
    lines = input[Symbol.asyncIterator]();
  }
  const aborted = new Promise<null>((resolve) => {
    signal.addEventListener("abort", () => resolve(null), { once: true });
  });
  const line = await Promise.race([lines.next().then(({ done, value }) => (done ? null : value)), aborted]);
  return line ?? null;
}

for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // `microceph … | head` closes the pipe; nothing is left to say to it.
    process.exit(error.code === "EPIPE" ? 0 : 1);
  });
}

runCli(process.argv.slice(2), {
  stdout: { write: (text) => void process.stdout.write(text), isTTY: process.stdout.isTTY === true },
  stderr: { write: (text) => void process.stderr.write(text), isTTY: process.stderr.isTTY === true },
  env: process.env,
  get signal() {
    return interruptSignal();
  },
  now: () => performance.now(),
  pause: (ms) =>
    new Promise((resolve) => {
      const signal = interruptSignal();
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    }),
  ask: (question) => askOnTerminal(question, interruptSignal()),
  every: (ms, run) => {
    const timer = setInterval(run, ms);
    return () => clearInterval(timer);
  },
}).then((exitCode) => {
  // Standard input would keep the program.
  if (reader !== undefined) {
    reader.close();
    process.stdin.destroy();
  }
  process.exitCode = exitCode;
});
