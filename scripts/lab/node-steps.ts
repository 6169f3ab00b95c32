import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../src/files/atomic-file.ts";
import { checkout, type NodeFiles } from "./layout.ts";

/** A step of a daemon: which one since it was told to crash (null before), and what. */
export interface DaemonStep {
  readonly number: number | null;
  readonly name: string;
}

function folder(files: NodeFiles): string {
  return join(files.dir, "steps");
}

/** What makes a daemon write down its steps, and end at the one it is told. */
export function stepsEnvironment(files: NodeFiles): Record<string, string> {
  mkdirSync(folder(files), { recursive: true });
  return {
    NODE_OPTIONS: `--import=${join(checkout, "scripts", "lab", "step-watch.ts")}`,
    MICROCEPH_LAB_STEPS: folder(files),
  };
}

/** End the daemon with SIGKILL at its step of this number, counted from now. */
export async function crashAtStep(files: NodeFiles, step: number): Promise<void> {
  mkdirSync(folder(files), { recursive: true });
  rmSync(join(folder(files), "crashed"), { force: true });
  // The second word tells one order from the next of the same number.
  await writeFileAtomic(join(folder(files), "crash-at"), `${step} ${process.hrtime.bigint()}\n`);
}

/** Forget the order. */
export function disarm(files: NodeFiles): void {
  rmSync(join(folder(files), "crash-at"), { force: true });
}

/** The step at which the daemon was ended; undefined while it was not. */
export function crashedAt(files: NodeFiles): DaemonStep | undefined {
  return stepsIn(join(folder(files), "crashed")).at(-1);
}

/** Every step of the node's daemons so far. */
export function daemonSteps(files: NodeFiles): DaemonStep[] {
  return stepsIn(join(folder(files), "log"));
}

function stepsIn(path: string): DaemonStep[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line.includes("\t"))
    .map((line) => {
      const [number, ...name] = line.split("\t");
      return { number: number === "-" ? null : Number(number), name: name.join("\t") };
    });
}
