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
  every: (ms, run) => {
    const timer = setInterval(run, ms);
    return () => clearInterval(timer);
  },
}).then((exitCode) => {
  process.exitCode = exitCode;
});
