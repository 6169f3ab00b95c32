/** A device that is mounted or used for swapping, by `major:minor`. */
export interface DeviceUse {
  readonly device: string;
  /** Mount point, or `swap`. */
  readonly where: string;
}

/** Mounts of /proc/self/mountinfo (proc_pid_mountinfo(5)); lines of any other form are left out. */
export function parseMountInfo(text: string): DeviceUse[] {
  return text.split("\n").flatMap((line): DeviceUse[] => {
    const match = /^\d+ \d+ (\d+:\d+) \S+ (\S+) /.exec(line);
    if (!match?.[1] || !match[2]) return [];
    return [{ device: match[1], where: unescapeMount(match[2]) }];
  });
}

/** Files and devices of /proc/swaps. */
export function parseSwaps(text: string): string[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const path = /^(\S+)\s/.exec(line)?.[1];
      return path === undefined ? [] : [unescapeMount(path)];
    });
}

/** The kernel writes blanks and backslashes as three octal digits. */
function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_all, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
