import { mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { writeFileAtomic } from "../../src/files/atomic-file.ts";

/** One empty block device given to a node: a sparse backing file behind a loop device. */
export interface DiskRecord {
  readonly file: string;
  /** Loop number it had last; it may change when the machine restarts. */
  readonly loop: number;
}

export interface NodeRecord {
  readonly name: string;
  /** IPv4 address with prefix length. */
  readonly address: string;
  readonly disks: readonly DiskRecord[];
}

/** What a lab remembers between runs of the tool: `lab.json` in its directory. */
export interface LabRecord {
  readonly name: string;
  /** L in 10.77.L.0/24. */
  readonly number: number;
  readonly admission: string | undefined;
  readonly expect: number | undefined;
  readonly nodes: readonly NodeRecord[];
  /** Bytes of the file system that each new node's state has for itself; undefined: it is the machine's. */
  readonly stateBytes?: number | undefined;
  /** Daemons see a clock that can be set. */
  readonly clock?: boolean;
  /** Daemons write their steps down and can be ended at one. */
  readonly steps?: boolean;
}

export function readLabRecord(labDir: string): LabRecord | undefined {
  let text: string;
  try {
    text = readFileSync(join(labDir, "lab.json"), "utf8");
  } catch {
    return undefined;
  }
  // Written by this tool alone, as a whole or not at all.
  const value = JSON.parse(text) as LabRecord;
  return { ...value, admission: value.admission ?? undefined, expect: value.expect ?? undefined };
}

export async function writeLabRecord(labDir: string, record: LabRecord): Promise<void> {
  const path = join(labDir, "lab.json");
  mkdirSync(dirname(path), { recursive: true });
  await writeFileAtomic(path, `${JSON.stringify(record, null, 2)}\n`);
}

/** The record with one node replaced (or added, in the order of their numbers). */
export function withNode(record: LabRecord, node: NodeRecord): LabRecord {
  const others = record.nodes.filter((known) => known.name !== node.name);
  const nodes = [...others, node].sort((a, b) => Number(a.name.slice(1)) - Number(b.name.slice(1)));
  return { ...record, nodes };
}
