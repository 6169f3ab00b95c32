import { join } from "node:path";
import { checkout, nodeStateDir } from "./layout.ts";

const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Environment of commands in a node: the checkout's programs first, Ceph's tools pointed at the node. */
export function nodeEnvironment(from: NodeJS.ProcessEnv = {}): Record<string, string> {
  const kept = Object.entries(from).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && !/^(npm_|NODE_|VITEST|INIT_CWD$|PATH$|HOSTNAME$)/.test(entry[0]),
  );
  return {
    HOME: "/root",
    LANG: "C.UTF-8",
    ...Object.fromEntries(kept),
    PATH: `${join(checkout, "bin")}:${systemPath}`,
    MICROCEPH_STATE_DIR: nodeStateDir,
    CEPH_CONF: `${nodeStateDir}/conf/ceph.conf`,
  };
}

// In the new mount namespace the directory is looked up again, if it is there.
const inPlace = 'cd "$1" 2>/dev/null || cd /; shift; exec "$@"';

/** Arguments for nsenter(1) that run `command` in the node, in the same working directory if it is there. */
export function enterArguments(
  holder: number,
  command: readonly string[],
  cwd: string = process.cwd(),
): string[] {
  return [
    ...["--target", String(holder), "--net", "--mount", "--uts", "--ipc", "--pid"],
    ...["--", "sh", "-c", inPlace, "sh", cwd, ...command],
  ];
}
