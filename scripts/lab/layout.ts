import { join } from "node:path";

/** The checkout this file belongs to. */
export const checkout: string = join(import.meta.dirname, "..", "..");

/** Where labs keep their state; MICROCEPH_LAB_ROOT overrides it. */
export function labRoot(environment: NodeJS.ProcessEnv = process.env): string {
  return environment.MICROCEPH_LAB_ROOT ?? "/var/lib/microceph-lab";
}

/** State directory of the daemon as a node sees it; short, because Unix sockets live below it. */
export const nodeStateDir = "/var/lib/microceph";

/** Files of one node, on the host. */
export interface NodeFiles {
  readonly dir: string;
  /** Bound to the node's /var/lib/microceph. */
  readonly state: string;
  /** Files bound over the node's /etc. */
  readonly etc: string;
  /** Backing files of its block devices. */
  readonly disks: string;
  /** `<host pid> <start time>` of the process that holds the namespaces. */
  readonly holder: string;
  /** `<pid in the node>` of the daemon last started. */
  readonly daemon: string;
  readonly log: string;
}

export function nodeFiles(labDir: string, node: string): NodeFiles {
  const dir = join(labDir, node);
  return {
    dir,
    state: join(dir, "state"),
    etc: join(dir, "etc"),
    disks: join(dir, "disks"),
    holder: join(dir, "holder"),
    daemon: join(dir, "daemon"),
    log: join(dir, "daemon.log"),
  };
}

/** The number of a node's name: `n7` is 7. */
export function nodeNumber(node: string): number {
  return Number(node.slice(1));
}

/** Nodes are n1 to n64: their last address byte is 11 to 74. */
export function isNodeName(text: string): boolean {
  return /^n[1-9][0-9]?$/.test(text) && nodeNumber(text) <= 64;
}

export function defaultAddress(lab: number, node: string): string {
  return `10.77.${lab}.${10 + nodeNumber(node)}`;
}

/** The IPv6 address repeats the decimal digits of the IPv4 one, so that people can tell them apart at a glance. */
export function address6(lab: number, node: string): string {
  return `fd77:${lab}::${10 + nodeNumber(node)}`;
}

export function switchNamespace(lab: number): string {
  return `mcl${lab}-sw`;
}
