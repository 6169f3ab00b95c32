import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { LabHosts } from "../../../scripts/lab/lab-hosts.ts";
import { checkout, nodeStateDir } from "../../../scripts/lab/layout.ts";
import { runOn } from "../../../scripts/lab/node-exec.ts";
import { untilHealthy, type Wanted } from "./observer.ts";

/** Folder of the hand-written scripts and settings. */
export const reference: string = join(import.meta.dirname, "..", "reference");
export const sharedConf: string = join(reference, "shared.conf");
export const tunedConf: string = join(reference, "tuned.conf");
export const naiveConf: string = join(reference, "naive.conf");

/** Seconds of one turn, and when what was first seen. */
export interface Turn {
  readonly seconds: number;
  readonly phases: ReadonlyMap<string, number>;
}

/** Fresh hosts for every turn of either side: the same namespaces, with or without our daemon on them. */
export class BenchHosts {
  readonly lab: LabHosts;

  constructor(name: string) {
    const place = createHash("sha256").update(checkout).digest("hex").slice(0, 4);
    this.lab = new LabHosts(`b-${name}-${place}`);
    // Read when the lab starts a daemon.
    process.env.MICROCEPH_LAB_CEPH_CONFIG = sharedConf;
  }

  /** Do it on fresh hosts, which are gone afterwards. */
  async fresh<T>(
    options: { readonly nodes: number; readonly bare: boolean },
    work: () => Promise<T>,
  ): Promise<T> {
    await this.lab.down();
    await this.lab.up(options);
    try {
      return await work();
    } finally {
      if (process.env.MICROCEPH_BENCH_KEEP === undefined) await this.lab.down();
    }
  }

  address(node: string): string {
    return this.lab.node(node).record.address.split("/")[0] ?? "";
  }

  run(node: string, ...command: string[]): Promise<string> {
    return runOn(this.lab, node, command, { deadlineMs: 180_000 });
  }

  /** Run a reference script on one node until its Ceph is healthy. */
  async script(node: string, name: string, confs: readonly string[], wanted: Wanted): Promise<Turn> {
    const work = join(this.lab.dir, node, "state", "by-hand");
    mkdirSync(work, { recursive: true });
    const inNode = join(nodeStateDir, "by-hand");
    const command = ["sh", join(reference, name), inNode, this.address(node), ...confs];
    const conf = { inNode: join(inNode, "ceph.conf"), onHost: join(work, "keyring") };
    return this.timed(node, conf, wanted, () => this.run(node, ...command));
  }

  /** Time what `act` begins until Ceph is healthy, seen from `node`. */
  async timed(
    node: string,
    conf: { readonly inNode: string; readonly onHost: string },
    wanted: Wanted,
    act: (mark: (phase: string) => void) => Promise<unknown>,
  ): Promise<Turn> {
    const phases = new Map<string, number>();
    const begin = performance.now();
    const mark = (phase: string): void => {
      phases.set(phase, (performance.now() - begin) / 1000);
    };
    const [seconds] = await Promise.all([
      untilHealthy(this.lab.node(node).holder, conf, wanted, phases),
      act(mark),
    ]);
    return { seconds, phases };
  }

  /** Our own side: where Ceph's configuration comes to be. */
  ourConf(node: string): { inNode: string; onHost: string } {
    return {
      inNode: join(nodeStateDir, "conf", "ceph.conf"),
      onHost: join(this.lab.dir, node, "state", "conf", "ceph.client.admin.keyring"),
    };
  }
}

/** The phases of one turn, for people. */
export function phaseLine(side: string, { seconds, phases }: Turn): string {
  const parts = [...phases].sort(([, a], [, b]) => a - b).map(([name, at]) => `${at.toFixed(2)} ${name}`);
  return `${side} ${seconds.toFixed(2)} s: ${parts.join(", ")}`;
}
