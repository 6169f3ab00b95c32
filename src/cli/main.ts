import { runCli } from "./program.ts";

/** Exit code of a program ended by Ctrl-C, as shells report it. */
const interrupted = 130;

const interrupt = new AbortController();
process.on("SIGINT", () => {
  // The first one ends the waiting in good order, the second one the program.
  if (interrupt.signal.aborted) process.exit(interrupted);
  interrupt.abort();
});
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
  signal: interrupt.signal,
  now: () => performance.now(),
  pause: (ms) =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      interrupt.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    }),
  every: (ms, run) => {
    const timer = setInterval(run, ms);
    return () => clearInterval(timer);
  },
}).then((exitCode) => {
  process.exitCode = exitCode;
});
