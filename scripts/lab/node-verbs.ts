import { isIPv4 } from "node:net";
import { holderOf, writeNames } from "./holder.ts";
import { LabError } from "./lab-error.ts";
import type { LabHosts, RunningNode } from "./lab-hosts.ts";
import { type DiskRecord, withNode, writeLabRecord } from "./lab-record.ts";
import { nodeFiles } from "./layout.ts";
import { NetworkFaults } from "./network-faults.ts";
import { setClock } from "./node-clock.ts";
import { cephProcesses, findDaemon, killChosen, pausedProcesses, processesOfProgram } from "./node-daemon.ts";
import { attachLoop, createBackingFile, diskBytes, diskPath, showDisk, startUdev } from "./node-disks.ts";
import { drainState, fillState } from "./node-space.ts";
import { crashAtStep } from "./node-steps.ts";
import { processesOf, signal } from "./processes.ts";
import { capture, run } from "./run.ts";

export type KillTarget = "daemon" | "ceph" | "all";

/** Give the node empty block devices; their paths. */
export async function addDisks(lab: LabHosts, name: string, size: string, count: number): Promise<string[]> {
  const bytes = diskBytes(size);
  return lab.locked(async () => {
    const paths: string[] = [];
    for (let made = 0; made < count; made += 1) {
      const node = lab.node(name);
      const file = createBackingFile(node.files, bytes);
      const disk: DiskRecord = { file, loop: await attachLoop(file) };
      await showDisk(node.holder, disk);
      const disks = [...node.record.disks, disk];
      await writeLabRecord(lab.dir, withNode(lab.record(), { ...node.record, disks }));
      paths.push(diskPath(disk));
    }
    const { holder } = lab.node(name);
    await startUdev(holder, processesOf(holder));
    return paths;
  });
}

/** SIGKILL the daemon, Ceph with its supervisors, or everything in the node (loss of power). */
export function killNode(lab: LabHosts, name: string, target: KillTarget): Promise<number> {
  return lab.locked(async () => {
    const { holder } = lab.node(name);
    switch (target) {
      case "daemon":
        return killChosen(holder, (processes) => {
          const daemon = findDaemon(processes);
          return daemon === undefined ? [] : [daemon];
        });
      case "ceph":
        return killChosen(holder, (processes) => cephProcesses(processes, holder));
      case "all": {
        const before = processesOf(holder).filter((one) => one.pid !== holder);
        // One system call kills every process of the namespace but its init.
        const inside = ["--target", String(holder), "--pid", "--mount", "--"];
        await capture("nsenter", [...inside, "sh", "-c", "kill -KILL -1"]);
        const mine = new Set(before.map((one) => one.pid));
        await killChosen(holder, (processes) => processes.filter((one) => mine.has(one.pid)));
        return mine.size;
      }
    }
  });
}

/** SIGSTOP the daemon, its etcd and its `ceph` child, or the processes of one program; all else goes on. */
export function pauseNode(lab: LabHosts, name: string, program?: string): Promise<void> {
  return lab.locked(async () => {
    const { holder } = lab.node(name);
    if (program !== undefined) {
      const chosen = processesOfProgram(processesOf(holder), program);
      if (chosen.length === 0) throw new LabError("NODE_DOWN", `no ${program} runs on ${name}`);
      for (const one of chosen) signal(one.pid, "SIGSTOP");
      return;
    }
    const stopped = new Set<number>();
    // The daemon stops first, so a second look finds all that it started.
    for (let look = 0; look < 2; look += 1) {
      for (const one of pausedProcesses(processesOf(holder))) {
        if (!stopped.has(one.pid)) signal(one.pid, "SIGSTOP");
        stopped.add(one.pid);
      }
    }
    if (stopped.size === 0) throw new LabError("NODE_DOWN", `no daemon runs on ${name}`);
  });
}

/** SIGCONT everything of the node that is stopped, or the processes of one program. */
export function resumeNode(lab: LabHosts, name: string, program?: string): Promise<void> {
  return lab.locked(async () => {
    const all = processesOf(lab.node(name).holder);
    for (const one of program === undefined ? all : processesOfProgram(all, program)) {
      if (one.state === "T") signal(one.pid, "SIGCONT");
    }
  });
}

export function cutNode(lab: LabHosts, name: string): Promise<void> {
  return lab.locked(() => lab.switch().cut(lab.node(name).record.name));
}

/** Lose a share of the node's packets; 0 ends it. */
export function loseOn(lab: LabHosts, name: string, percent: number): Promise<void> {
  return lab.locked(() => new NetworkFaults(lab.record().number).lose(lab.node(name).record.name, percent));
}

/** Drop what one node sends to another. */
export function cutOneWay(lab: LabHosts, from: string, to: string): Promise<void> {
  if (from === to) throw new LabError("USAGE", `${from} does not send to itself over the network`);
  return lab.locked(() => {
    for (const name of [from, to]) lab.node(name);
    return new NetworkFaults(lab.record().number).cutOneWay(from, to);
  });
}

/** Fill the file system of the node's state to its last byte. */
export function fillNode(lab: LabHosts, name: string): Promise<void> {
  const { files, holder } = lab.node(name);
  return fillState(files, holder);
}

export function drainNode(lab: LabHosts, name: string): Promise<void> {
  return drainState(lab.node(name).holder);
}

/** Set how many seconds ahead of the machine's the clock is that the daemon and its `ceph` child see. */
export async function setNodeClock(lab: LabHosts, name: string, seconds: number): Promise<void> {
  if (lab.record().clock !== true) {
    throw new LabError("USAGE", "the daemons see the machine's clock; make the lab with: up --clock");
  }
  setClock(lab.node(name).files, seconds);
}

/** End the node's daemon with SIGKILL at its step of this number, counted from now. */
export async function crashNodeAt(lab: LabHosts, name: string, step: number): Promise<void> {
  if (lab.record().steps !== true) {
    throw new LabError("USAGE", "the daemons' steps are not watched; make the lab with: up --steps");
  }
  await crashAtStep(lab.node(name).files, step);
}

/**
 * After this the node reaches all others that are not cut: its cable is in, nothing of its traffic is lost, and
 * no partition is left.
 */
export function healNode(lab: LabHosts, name: string): Promise<void> {
  return lab.locked(async () => {
    const node = lab.node(name);
    await new NetworkFaults(lab.record().number).heal(name);
    await lab.switch().join();
    await lab.switch().uncut([node.record.name]);
    await forgetFailures(lab);
  });
}

/** Make the nodes forget whom they could not reach: otherwise the first second after a change still fails. */
async function forgetFailures(lab: LabHosts): Promise<void> {
  await Promise.all(
    lab.record().nodes.map(async ({ name }) => {
      const holder = holderOf(nodeFiles(lab.dir, name));
      if (holder === undefined) return;
      const inside = ["--target", String(holder), "--net", "ip"];
      for (const family of ["-4", "-6"]) {
        await capture("nsenter", [...inside, family, "neigh", "flush", "dev", "eth0"]);
      }
    }),
  );
}

export function healAll(lab: LabHosts): Promise<void> {
  return lab.locked(async () => {
    await new NetworkFaults(lab.record().number).heal();
    await lab.switch().join();
    await lab.switch().uncut(lab.record().nodes.map((node) => node.name));
    await forgetFailures(lab);
  });
}

/** Split the network into groups; nodes not named make up one more. */
export function partitionNodes(lab: LabHosts, groups: readonly (readonly string[])[]): Promise<void> {
  return lab.locked(async () => {
    const named = groups.flat();
    const twice = named.find((name, index) => named.indexOf(name) !== index);
    if (twice !== undefined) throw new LabError("USAGE", `${twice} is named twice`);
    for (const name of named) lab.node(name);
    const rest = lab
      .record()
      .nodes.map((node) => node.name)
      .filter((name) => !named.includes(name));
    const parts = [...groups, ...(rest.length > 0 ? [rest] : [])];
    if (parts.length < 2) throw new LabError("USAGE", "a partition needs nodes on both sides");
    await lab.switch().join();
    await lab.switch().partition(parts);
  });
}

/** Give the node another IPv4 address (`ADDRESS` or `ADDRESS/PREFIX`, /24 if not said). */
export async function renumberNode(lab: LabHosts, name: string, text: string): Promise<void> {
  const [ip = "", prefix = "24", ...rest] = text.split("/");
  if (!isIPv4(ip) || rest.length > 0 || !/^([1-9]|[12][0-9]|3[0-2])$/.test(prefix)) {
    throw new LabError("USAGE", `"${text}" is no IPv4 address; for example: renumber n1 10.77.0.91`);
  }
  return lab.locked(async () => {
    const node: RunningNode = lab.node(name);
    const owner = lab.record().nodes.find((one) => one.name !== name && one.address.split("/")[0] === ip);
    if (owner !== undefined)
      throw new LabError("ADDRESS_IN_USE", `${owner.name} has ${ip}; take another one`);
    const address = `${ip}/${prefix}`;
    if (address === node.record.address) return;
    // The old one first: as a second address of its subnet the new one would go away with it.
    await run("nsenter", ["--target", String(node.holder), "--net", "ip", "-batch", "-"], {
      input: `address delete ${node.record.address} dev eth0\naddress add ${address} dev eth0\n`,
    });
    writeNames(node.files, name, ip);
    await writeLabRecord(lab.dir, withNode(lab.record(), { ...node.record, address }));
    await forgetFailures(lab);
  });
}
