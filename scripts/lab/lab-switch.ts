import { existsSync, readdirSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { LabError } from "./lab-error.ts";
import { switchNamespace } from "./layout.ts";
import { capture, run } from "./run.ts";

/** What the switch knows of a node's port. */
export interface Port {
  readonly node: string;
  /** Whether the cable is in: the port is up. */
  readonly up: boolean;
  readonly carrier: boolean;
  /** 0 for the common segment; another number while the network is partitioned. */
  readonly segment: number;
}

interface LinkReport {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly operstate: string;
  readonly master?: string;
  readonly ifalias?: string;
}

/** Numbers of the switches on this machine that belong to the lab in `labDir`. */
export async function switchesOf(labDir: string): Promise<number[]> {
  if (!existsSync("/run/netns")) return [];
  const found: number[] = [];
  for (const entry of readdirSync("/run/netns")) {
    const number = /^mcl([0-9]+)-sw$/.exec(entry)?.[1];
    if (number !== undefined && (await new LabSwitch(Number(number)).owner()) === labDir)
      found.push(Number(number));
  }
  return found;
}

/**
 * The lab's network: bridges in a namespace of their own, so that the host's interfaces stay untouched.
 * All nodes share `br0`; a partition moves ports to further bridges. That needs no packet filter, drops every
 * frame between the parts and leaves the nodes' carrier on, as a broken trunk between two switches does.
 */
export class LabSwitch {
  readonly #number: number;
  readonly namespace: string;

  constructor(number: number) {
    this.#number = number;
    this.namespace = switchNamespace(number);
  }

  exists(): boolean {
    return existsSync(`/run/netns/${this.namespace}`);
  }

  /** Directory of the lab that the switch belongs to. */
  async owner(): Promise<string | undefined> {
    const report = await this.#ip(["-j", "link", "show", "br0"]);
    return report.exitCode === 0 ? (JSON.parse(report.stdout) as LinkReport[])[0]?.ifalias : undefined;
  }

  /** Make what is missing, in the name of the lab in `labDir`; throws NUMBER_TAKEN when it is another's. */
  async create(labDir: string): Promise<void> {
    const owner = this.exists() ? await this.owner() : undefined;
    if (owner === labDir) return;
    if (owner !== undefined) {
      throw new LabError(
        "NUMBER_TAKEN",
        `10.77.${this.#number}.0/24 is used by the lab in ${owner}; use another --name`,
      );
    }
    // A name without its bridge was left by a crash while adding.
    await this.remove();
    await run("ip", ["netns", "add", this.namespace]);
    await this.#bridge("br0");
    await run("ip", ["-n", this.namespace, "link", "set", "br0", "alias", labDir]);
  }

  /** Give the node whose namespaces `holder` (host pid) holds an eth0 with these addresses. */
  async plug(node: string, holder: number, address: string, address6: string): Promise<void> {
    const ports = await this.ports();
    if (!ports.some((port) => port.node === node)) {
      await run("ip", [
        ...["-n", this.namespace, "link", "add", node, "type", "veth"],
        ...["peer", "name", "eth0", "address", macAddress(this.#number, node), "netns", String(holder)],
      ]);
    }
    await this.#batch([`link set ${node} master br0`, `link set ${node} up`]);
    await run("nsenter", ["--target", String(holder), "--net", "ip", "-batch", "-"], {
      input: [
        "link set lo up",
        `address replace ${address} dev eth0`,
        `address replace ${address6}/64 dev eth0 nodad`,
        "link set eth0 up",
        "",
      ].join("\n"),
    });
  }

  async ports(): Promise<Port[]> {
    const report = await this.#ip(["-j", "link", "show"]);
    if (report.exitCode !== 0) return [];
    return (JSON.parse(report.stdout || "[]") as LinkReport[])
      .filter((link) => /^n[0-9]+$/.test(link.ifname))
      .map((link) => ({
        node: link.ifname,
        up: link.flags.includes("UP"),
        carrier: link.operstate === "UP",
        segment: Number((link.master ?? "br0").slice(2)),
      }));
  }

  /** Pull the cable. */
  async cut(node: string): Promise<void> {
    await this.#batch([`link set ${node} down`]);
  }

  /** Put the cables of `nodes` back in; returns when their links carry. */
  async uncut(nodes: readonly string[]): Promise<void> {
    await this.#batch(nodes.map((node) => `link set ${node} up`));
    // The kernel reports a carrier up to a second late, and nothing is sent before.
    for (let look = 0; look < 100; look += 1) {
      const ports = await this.ports();
      if (nodes.every((node) => ports.some((port) => port.node === node && port.carrier))) return;
      await delay(20);
    }
  }

  /** Split the network: nodes of different groups reach each other no more. The first group stays on br0. */
  async partition(groups: readonly (readonly string[])[]): Promise<void> {
    const moves: string[] = [];
    for (const [segment, group] of groups.entries()) {
      await this.#bridge(`br${segment}`);
      moves.push(...group.map((node) => `link set ${node} master br${segment}`));
    }
    // All ports move in one run of ip: a few hundred microseconds in all.
    await this.#batch(moves);
  }

  /** Join all segments again. */
  async join(): Promise<void> {
    const ports = await this.ports();
    const astray = ports.filter((port) => port.segment > 0);
    await this.#batch([
      ...astray.map((port) => `link set ${port.node} master br0`),
      ...[...new Set(astray.map((port) => port.segment))].map((segment) => `link delete br${segment}`),
    ]);
  }

  async remove(): Promise<void> {
    if (this.exists()) await run("ip", ["netns", "delete", this.namespace]);
  }

  async #bridge(name: string): Promise<void> {
    if ((await this.#ip(["link", "show", name])).exitCode !== 0) {
      // Without snooping every multicast frame reaches every node, as on an unmanaged switch.
      // Without an address of its own it answers to nothing.
      await this.#batch([
        `link add ${name} type bridge mcast_snooping 0 stp_state 0`,
        `link set ${name} addrgenmode none`,
      ]);
    }
    await this.#batch([`link set ${name} up`]);
  }

  async #batch(lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return;
    await run("ip", ["-n", this.namespace, "-batch", "-"], { input: `${lines.join("\n")}\n` });
  }

  #ip(args: readonly string[]) {
    return capture("ip", ["-n", this.namespace, ...args]);
  }
}

/** A locally administered address that stays the same when the node is made again. */
export function macAddress(lab: number, node: string): string {
  const hex = (value: number): string => value.toString(16).padStart(2, "0");
  return `02:77:00:${hex(lab)}:00:${hex(10 + Number(node.slice(1)))}`;
}
