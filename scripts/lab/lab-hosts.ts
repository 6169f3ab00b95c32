import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { createHolder, ensureMountPoints, holderOf, killHolders, removeMountPoints } from "./holder.ts";
import { LabError } from "./lab-error.ts";
import { locked, takeLock } from "./lab-lock.ts";
import { releaseNumber, reserveNumber } from "./lab-numbers.ts";
import { type LabRecord, type NodeRecord, readLabRecord, withNode, writeLabRecord } from "./lab-record.ts";
import { LabSwitch, switchesOf } from "./lab-switch.ts";
import { address6, defaultAddress, isNodeName, labRoot, type NodeFiles, nodeFiles } from "./layout.ts";
import { endMachine } from "./machine.ts";
import { clockEnvironment } from "./node-clock.ts";
import { findDaemon, startDaemon, waitForApi } from "./node-daemon.ts";
import { attachLoop, detachLoops, isUdev, showDisk, startUdev } from "./node-disks.ts";
import { makeStateImage } from "./node-space.ts";
import { stepsEnvironment } from "./node-steps.ts";
import { processesOf, signal } from "./processes.ts";
import { run } from "./run.ts";

/** Called with one line for each thing done. */
export type Progress = (line: string) => void;

export interface UpOptions {
  /** At least this many nodes. */
  readonly nodes?: number | undefined;
  readonly admission?: string | undefined;
  readonly expect?: number | undefined;
  /** Start no daemon: bare hosts. */
  readonly bare?: boolean | undefined;
  /** Milliseconds that a daemon has to answer. */
  readonly deadlineMs?: number | undefined;
  /** Bytes of a file system of its own for each node's state. */
  readonly stateBytes?: number | undefined;
  /** Let the daemons see a clock that can be set. */
  readonly clock?: boolean | undefined;
  /** Let the daemons write their steps down, and be ended at one. */
  readonly steps?: boolean | undefined;
}

/** A node of a running lab: its record, files and the host pid that holds its namespaces. */
export interface RunningNode {
  readonly record: NodeRecord;
  readonly files: NodeFiles;
  readonly holder: number;
}

/** The hosts of one lab: made, completed after a crash, and removed without a trace. */
export class LabHosts {
  readonly name: string;
  readonly root: string;
  readonly dir: string;
  readonly #say: Progress;

  constructor(name: string, options: { root?: string; say?: Progress } = {}) {
    this.name = name;
    this.root = resolve(options.root ?? labRoot());
    this.dir = join(this.root, name);
    this.#say = options.say ?? (() => undefined);
  }

  record(): LabRecord {
    const record = readLabRecord(this.dir);
    if (record === undefined) {
      throw new LabError(
        "LAB_NOT_UP",
        `the lab "${this.name}" is not up; start it with: npm run -s lab -- up`,
      );
    }
    return record;
  }

  switch(record: LabRecord = this.record()): LabSwitch {
    return new LabSwitch(record.number);
  }

  /** A node by name; throws NODE_UNKNOWN, and NODE_DOWN when its namespaces are gone. */
  node(name: string): RunningNode {
    const record = this.record();
    const node = record.nodes.find((one) => one.name === name);
    if (node === undefined) {
      const known = record.nodes.map((one) => one.name).join(", ");
      throw new LabError(
        "NODE_UNKNOWN",
        `the lab "${this.name}" has no node "${name}"; it has ${known || "none"}`,
      );
    }
    const files = nodeFiles(this.dir, name);
    const holder = holderOf(files);
    if (holder === undefined) {
      throw new LabError(
        "NODE_DOWN",
        `${name} is gone (did the machine restart?); run: npm run -s lab -- up`,
      );
    }
    return { record: node, files, holder };
  }

  /** Run `work` while no other command changes this lab. */
  locked<T>(work: () => Promise<T>): Promise<T> {
    return locked(join(this.root, `.lock-${this.name}`), work);
  }

  /** Make the lab, or complete what is missing; returns when every daemon's API answers. */
  async up(options: UpOptions = {}): Promise<void> {
    const started = await this.locked(async () => {
      let record = await this.#open(options);
      const count = options.nodes ?? (record.nodes.length > 0 ? 0 : 3);
      const names = new Set(record.nodes.map((node) => node.name));
      for (let number = 1; number <= count; number += 1) names.add(`n${number}`);
      const running: RunningNode[] = [];
      for (const name of names) {
        const node = await this.#completeNode(record, name);
        record = withNode(record, node.record);
        running.push(node);
      }
      await writeLabRecord(this.dir, record);
      if (options.bare) return [];
      for (const node of running) await this.#startNode(record, node);
      return running;
    });
    await this.#waitForAll(started, options.deadlineMs);
  }

  /** One more node. */
  async add(name: string, options: UpOptions = {}): Promise<void> {
    if (!isNodeName(name)) throw new LabError("USAGE", `nodes are called n1, n2, … n64, not "${name}"`);
    const node = await this.locked(async () => {
      const record = this.record();
      if (record.nodes.some((one) => one.name === name)) {
        throw new LabError("NODE_EXISTS", `the lab has ${name} already`);
      }
      await this.switch(record).create(this.dir);
      const made = await this.#completeNode(record, name);
      await writeLabRecord(this.dir, withNode(record, made.record));
      if (!options.bare) await this.#startNode(record, made);
      return made;
    });
    if (!options.bare) await this.#waitForAll([node], options.deadlineMs);
  }

  /** Start a node's daemon, as a boot does; returns when its API answers. */
  async start(name: string, deadlineMs?: number): Promise<void> {
    const node = await this.locked(async () => {
      const found = this.node(name);
      await this.#startNode(this.record(), found);
      return found;
    });
    await this.#waitForAll([node], deadlineMs);
  }

  /** Remove everything, also what a crash left without a record; whether there was a lab. */
  async down(): Promise<boolean> {
    const known = existsSync(this.dir);
    const lock = await takeLock(join(this.root, `.lock-${this.name}`));
    try {
      await killHolders(this.dir);
      const numbers = await switchesOf(this.dir);
      const recorded = readLabRecord(this.dir)?.number;
      // One without an owner is ours if it has our number: its maker was killed before it could say so.
      if (recorded !== undefined && (await new LabSwitch(recorded).owner()) === undefined)
        numbers.push(recorded);
      for (const number of numbers) await new LabSwitch(number).remove();
      await detachLoops(this.dir);
      rmSync(this.dir, { recursive: true, force: true });
    } finally {
      lock.release({ remove: true });
    }
    await releaseNumber(this.root, this.name, () => {
      removeMountPoints(this.root);
      endMachine();
    });
    return known;
  }

  async #open(options: UpOptions): Promise<LabRecord> {
    const number = await reserveNumber(this.root, this.name);
    const old = readLabRecord(this.dir);
    const record: LabRecord = {
      name: this.name,
      number,
      admission: options.admission ?? old?.admission,
      expect: options.expect ?? old?.expect,
      nodes: old?.nodes ?? [],
      stateBytes: options.stateBytes ?? old?.stateBytes,
      clock: options.clock ?? old?.clock ?? false,
      steps: options.steps ?? old?.steps ?? false,
    };
    ensureMountPoints(this.root);
    // Before anything can be left behind, what `down` needs to find it is on disk.
    await writeLabRecord(this.dir, record);
    await new LabSwitch(number).create(this.dir);
    return record;
  }

  /** The node's namespaces, cable and disks, made where they are missing. */
  async #completeNode(record: LabRecord, name: string): Promise<RunningNode> {
    const files = nodeFiles(this.dir, name);
    mkdirSync(files.dir, { recursive: true });
    const old = record.nodes.find((one) => one.name === name);
    const node: NodeRecord = old ?? {
      name,
      address: `${defaultAddress(record.number, name)}/24`,
      disks: [],
    };
    const ip = node.address.split("/")[0] ?? "";
    let holder = holderOf(files);
    if (holder === undefined) {
      if (record.stateBytes !== undefined) await makeStateImage(files, record.stateBytes);
      holder = await createHolder(files, name, ip);
      this.#say(`${name}: host ${ip} made`);
    }
    const network = new LabSwitch(record.number);
    if (!(await network.ports()).some((port) => port.node === name)) {
      await network.plug(name, holder, node.address, address6(record.number, name));
    }
    const disks = [];
    for (const disk of node.disks) {
      const shown = { file: disk.file, loop: await attachLoop(disk.file) };
      await showDisk(holder, shown);
      disks.push(shown);
    }
    return { record: { ...node, disks }, files, holder };
  }

  async #startNode(record: LabRecord, node: RunningNode): Promise<void> {
    const processes = processesOf(node.holder);
    const daemon = findDaemon(processes);
    if (daemon !== undefined) {
      if (daemon.state === "T") for (const one of processes) signal(one.pid, "SIGCONT");
      return;
    }
    // Nothing but init and its sleep: a boot, which begins with an empty /run.
    if (processes.every((one) => one.pid === node.holder || one.args[0] === "sleep" || isUdev(one))) {
      const clear = "find /run -xdev -mindepth 1 -delete; mkdir -m 1777 /run/lock";
      await run("nsenter", ["--target", String(node.holder), "--mount", "sh", "-c", clear]);
    }
    if (node.record.disks.length > 0) await startUdev(node.holder, processes);
    await startDaemon(node.holder, node.files, record, {
      ...(record.clock === true ? clockEnvironment(node.files) : {}),
      ...(record.steps === true ? stepsEnvironment(node.files) : {}),
    });
    this.#say(`${node.record.name}: microcephd started`);
  }

  async #waitForAll(nodes: readonly RunningNode[], deadlineMs = 90_000): Promise<void> {
    await Promise.all(
      nodes.map(async (node) => {
        await waitForApi(node.holder, node.files, node.record.name, deadlineMs);
        this.#say(`${node.record.name}: API answers`);
      }),
    );
  }
}
