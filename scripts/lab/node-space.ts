import { existsSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { enterArguments, nodeEnvironment } from "./enter.ts";
import { LabError } from "./lab-error.ts";
import { type NodeFiles, nodeStateDir } from "./layout.ts";
import { run } from "./run.ts";

/** The file that takes all room; a name that nobody else uses. */
const filler = join(nodeStateDir, ".lab-filler");

/** Image of the file system that holds the node's state; `node-init.sh` mounts it if it is there. */
export function stateImage(files: NodeFiles): string {
  return join(files.dir, "state.img");
}

/** Make the file system of its own for the node's state, once; the node is down. */
export async function makeStateImage(files: NodeFiles, bytes: number): Promise<void> {
  const image = stateImage(files);
  if (existsSync(image)) return;
  writeFileSync(image, "", { flag: "wx", mode: 0o600 });
  truncateSync(image, bytes);
  // Nothing is kept back for root: full is full.
  await run("mkfs.ext4", ["-q", "-m", "0", "-O", "^has_journal", image]);
}

async function inNode(holder: number, script: string): Promise<void> {
  await run("nsenter", enterArguments(holder, ["sh", "-c", script, "sh", filler], "/"), {
    env: nodeEnvironment(),
    deadlineMs: 60_000,
  });
}

/** Fill the state's file system to its last byte. Throws NODE_STATE_SHARED when it is not of its own. */
export async function fillState(files: NodeFiles, holder: number): Promise<void> {
  if (!existsSync(stateImage(files))) {
    throw new LabError(
      "NODE_STATE_SHARED",
      "the state shares the machine's disk; make the lab with: up --state-size 300M",
    );
  }
  // Written in large pieces, then in small ones; the error at the end is what was wanted.
  const script =
    'for size in 1M 4k 512; do dd if=/dev/zero bs=$size oflag=append conv=notrunc of="$1" 2>/dev/null; done; sync -f "$1"';
  await inNode(holder, script);
}

/** Give the room back. */
export async function drainState(holder: number): Promise<void> {
  await inNode(holder, 'rm -f "$1"');
}
