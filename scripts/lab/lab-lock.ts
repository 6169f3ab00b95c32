import { spawn } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { LabError } from "./lab-error.ts";

// The lock is the kernel's flock, held by a helper that lives as long as its standard input is open: a tool
// killed in whatever way frees it. `again` means that the file was removed between opening and locking.
const holder = `
exec 9>>"$1" || exit 1
flock --exclusive --timeout "$2" 9 || { echo timeout; exit 0; }
if [ "$(stat -Lc %d:%i "$1" 2>/dev/null)" = "$(stat -Lc %d:%i /proc/self/fd/9)" ]; then echo held; else echo again; fi
exec cat >/dev/null
`;

export interface HeldLock {
  /** Free the lock; `remove` deletes the file too, while it is still ours. */
  release(options?: { remove?: boolean }): void;
}

/** Take the lock `path`, or throw LOCK_TIMEOUT after `seconds`. */
export async function takeLock(path: string, seconds = 120): Promise<HeldLock> {
  mkdirSync(dirname(path), { recursive: true });
  for (;;) {
    const child = spawn("sh", ["-c", holder, "sh", path, String(seconds)], {
      stdio: ["pipe", "pipe", "inherit"],
      // Of its own group, so that Ctrl-C on the tool does not free the lock before the tool is done.
      detached: true,
    });
    const answer = await new Promise<string>((resolve, reject) => {
      child.stdout.once("data", (chunk: Buffer) => resolve(chunk.toString().trim()));
      child.once("error", reject);
      child.once("close", () => resolve(""));
    });
    const end = () => {
      child.stdin.destroy();
      child.stdout.destroy();
      child.unref();
    };
    if (answer === "held") {
      return {
        release: ({ remove = false } = {}) => {
          if (remove) rmSync(path, { force: true });
          end();
        },
      };
    }
    end();
    if (answer === "timeout") {
      throw new LabError(
        "LOCK_TIMEOUT",
        `another lab command has held ${path} for ${seconds} s; try again later`,
      );
    }
    if (answer !== "again") throw new LabError("PROGRAM_FAILED", `cannot lock ${path}`);
  }
}

/** Run `work` with the lock held. */
export async function locked<T>(path: string, work: () => Promise<T>): Promise<T> {
  const lock = await takeLock(path);
  try {
    return await work();
  } finally {
    lock.release();
  }
}
