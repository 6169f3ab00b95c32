/**
 * Why etcd ended. `crashed`: start it again. `removed`: the cluster has removed this member. `data-lost`: it
 * cannot go on with the data it has (none, torn, or another cluster's): leave, and join again as a learner.
 */
export type ExitCause = "stopped" | "crashed" | "removed" | "data-lost";

const removed = /permanently removed from the cluster/;
const dataLost = [
  /has already been bootstrapped/,
  /cluster ID mismatch/i,
  /mismatch(ed)? member ID|member count is unequal|unmatched member/i,
  /\bcrc mismatch|checksum error|invalid database|version mismatch|file size too small/i,
  /\bwal: |failed to (read WAL|open WAL|recover)|failed to find.*snap|db file/i,
  /snap: |snapshot (file|db)|backend/i,
  /unmarshal|proto: |unexpected EOF/i,
  // A log whose first record says nothing of its owner.
  /cannot use none as id/,
  /freelist|freepages|invalid page|page \d+/i,
  /found data inconsistency|corrupt/i,
  /out of range/i,
];
const noRoom =
  /no space left on device|disk quota exceeded|input\/output error|read-only file system|too many open files/i;

/**
 * From the last lines of etcd's log (zap JSON and Go's own panics). Only lines that ended the process count:
 * warnings about other members use the same words.
 */
export function exitCauseOf(log: string): Exclude<ExitCause, "stopped"> {
  const lines = log.split("\n");
  if (lines.some((line) => removed.test(line) && /server error|"level":"(fatal|panic)"/.test(line))) {
    return "removed";
  }
  const fatal = lastWords(lines);
  if (fatal === "" || noRoom.test(fatal)) return "crashed";
  return dataLost.some((pattern) => pattern.test(fatal)) ? "data-lost" : "crashed";
}

/** The lines that tell why the process ended, or "" when none does. */
export function lastWords(lines: readonly string[]): string {
  return lines
    .filter((line) => /"level":"(fatal|panic|dpanic)"|^(panic|fatal error): /.test(line))
    .map((line) => line.replace(/"stacktrace":".*$/, ""))
    .join("\n")
    .slice(-4000);
}
