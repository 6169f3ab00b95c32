import { readdir } from "node:fs/promises";
import { getPriority, setPriority } from "node:os";

/** Nice values (setpriority(2)) that a program gets beyond our own while others are to go first. */
const behind = 6;

/**
 * Let a program that was just started go behind the others while there is too little processor time for all, until
 * `goAsUsual`. Nothing is done where this process could not undo it (in a user namespace, or without CAP_SYS_NICE).
 */
export async function goBehind(pid: number): Promise<void> {
  if (mayRaise()) await setNice(pid, getPriority() + behind);
}

/** Let it go beside the others again. Idempotent; nothing is done when it has ended. */
export async function goAsUsual(pid: number): Promise<void> {
  if (mayRaise()) await setNice(pid, getPriority());
}

function mayRaise(): boolean {
  const own = getPriority();
  if (!setOf(process.pid, own - 1)) return false;
  setOf(process.pid, own);
  return true;
}

/** On Linux a priority is of one thread, and a new thread has that of its maker (setpriority(2), kernel differences). */
async function setNice(pid: number, nice: number): Promise<void> {
  const threads = await readdir(`/proc/${pid}/task`).catch((): string[] => []);
  for (const thread of threads) setOf(Number(thread), nice);
}

/** @returns whether it was done: what has ended, or is not ours to change, is left */
function setOf(thread: number, nice: number): boolean {
  try {
    setPriority(thread, nice);
    return true;
  } catch {
    return false;
  }
}
