import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type ApiReply, callDaemon } from "../../../scripts/lab/control-socket.ts";
import { LabHosts, type UpOptions } from "../../../scripts/lab/lab-hosts.ts";
import { type LabStatus, labStatus, type NodeStatus } from "../../../scripts/lab/lab-status.ts";
import { checkout } from "../../../scripts/lab/layout.ts";
import { lastLines } from "../../../scripts/lab/node-daemon.ts";
import { type ExecOptions, execOn, jsonOn, runOn } from "../../../scripts/lab/node-exec.ts";
import { crashedAt, type DaemonStep } from "../../../scripts/lab/node-steps.ts";
import * as verbs from "../../../scripts/lab/node-verbs.ts";
import { processesOf } from "../../../scripts/lab/processes.ts";
import type { RunResult } from "../../../scripts/lab/run.ts";
import type { MeshStatus } from "../../../src/api/contract/mesh.ts";
import type { StatusReport } from "../../../src/api/contract/status.ts";

export interface WaitOptions {
  readonly deadlineMs: number;
  /** Milliseconds between two looks; default 200. */
  readonly everyMs?: number;
}

/** Take down a note of what was seen last, for the message of a wait that fails. */
export type Note = (seen: unknown) => void;

/** A lab of a test: real hosts, driven as a person would drive them, with a deadline on every call. */
export class Lab {
  readonly hosts: LabHosts;

  private constructor(hosts: LabHosts) {
    this.hosts = hosts;
  }

  /**
   * A fresh lab for one test file. Its name holds the checkout, so that two checkouts don't meet; what an
   * earlier run left of it is removed first.
   */
  static async up(purpose: string, options: UpOptions = {}): Promise<Lab> {
    const place = createHash("sha256").update(checkout).digest("hex").slice(0, 4);
    const lab = new Lab(new LabHosts(`t-${purpose}-${place}`));
    await lab.hosts.down();
    await lab.hosts.up(options);
    return lab;
  }

  async down(): Promise<void> {
    await this.hosts.down();
  }

  status(): Promise<LabStatus> {
    return labStatus(this.hosts);
  }

  async node(name: string): Promise<NodeStatus> {
    const node = (await this.status()).nodes.find((one) => one.name === name);
    if (node === undefined) throw new Error(`the lab has no ${name}`);
    return node;
  }

  add(name: string, options: UpOptions = {}): Promise<void> {
    return this.hosts.add(name, options);
  }

  start(name: string): Promise<void> {
    return this.hosts.start(name);
  }

  disk(name: string, size: string, count = 1): Promise<string[]> {
    return verbs.addDisks(this.hosts, name, size, count);
  }

  kill(name: string, target: verbs.KillTarget): Promise<number> {
    return verbs.killNode(this.hosts, name, target);
  }

  pause(name: string, program?: string): Promise<void> {
    return verbs.pauseNode(this.hosts, name, program);
  }

  resume(name: string, program?: string): Promise<void> {
    return verbs.resumeNode(this.hosts, name, program);
  }

  loss(name: string, percent: number): Promise<void> {
    return verbs.loseOn(this.hosts, name, percent);
  }

  cutOneWay(from: string, to: string): Promise<void> {
    return verbs.cutOneWay(this.hosts, from, to);
  }

  fill(name: string): Promise<void> {
    return verbs.fillNode(this.hosts, name);
  }

  drain(name: string): Promise<void> {
    return verbs.drainNode(this.hosts, name);
  }

  clock(name: string, seconds: number): Promise<void> {
    return verbs.setNodeClock(this.hosts, name, seconds);
  }

  /** End the node's daemon at its step of this number, counted from now. */
  crashAtStep(name: string, step: number): Promise<void> {
    return verbs.crashNodeAt(this.hosts, name, step);
  }

  /** The step at which the node's daemon was ended, once it was. */
  crashedAt(name: string): DaemonStep | undefined {
    return crashedAt(this.hosts.node(name).files);
  }

  cut(name: string): Promise<void> {
    return verbs.cutNode(this.hosts, name);
  }

  heal(name?: string): Promise<void> {
    return name === undefined ? verbs.healAll(this.hosts) : verbs.healNode(this.hosts, name);
  }

  partition(...groups: string[][]): Promise<void> {
    return verbs.partitionNodes(this.hosts, groups);
  }

  renumber(name: string, address: string): Promise<void> {
    return verbs.renumberNode(this.hosts, name, address);
  }

  /** Run a command on a node; whatever its exit code. */
  exec(name: string, command: readonly string[], options: ExecOptions = {}): Promise<RunResult> {
    return execOn(this.hosts, name, command, options);
  }

  /** Run a command that must succeed; its standard output. */
  run(name: string, command: readonly string[], options: ExecOptions = {}): Promise<string> {
    return runOn(this.hosts, name, command, options);
  }

  /** Run a command that must print JSON. */
  json(name: string, command: readonly string[], options: ExecOptions = {}): Promise<unknown> {
    return jsonOn(this.hosts, name, command, options);
  }

  /** One API request, as the CLI makes it; rejects when the daemon does not answer in time. */
  async api(
    name: string,
    method: string,
    path: string,
    body?: unknown,
    deadlineMs = 10_000,
  ): Promise<ApiReply> {
    return callDaemon(this.hosts.node(name).holder, method, path, body, deadlineMs);
  }

  /** `metadata` of a GET that must succeed. */
  async get(name: string, path: string): Promise<unknown> {
    const reply = await this.api(name, "GET", path);
    const body = reply.body as { metadata?: unknown } | null;
    if (reply.status !== 200 || body === null || typeof body !== "object" || !("metadata" in body)) {
      throw new Error(
        `${name}: GET ${path} answered ${reply.status}: ${JSON.stringify(reply.body)?.slice(0, 500)}`,
      );
    }
    return body.metadata;
  }

  async mesh(name: string): Promise<MeshStatus> {
    return (await this.get(name, "/1.0/mesh")) as MeshStatus;
  }

  async cephStatus(name: string): Promise<StatusReport> {
    return (await this.get(name, "/1.0/status")) as StatusReport;
  }

  /** Command lines of a node's processes with their host pids. */
  processes(name: string): { pid: number; innerPid: number; args: readonly string[] }[] {
    return processesOf(this.hosts.node(name).holder).map(({ pid, innerPid, args }) => ({
      pid,
      innerPid,
      args,
    }));
  }

  /**
   * Look again and again until `look` gives something. An error counts as "not yet". On failure the message
   * holds the last note, the last error and the end of every daemon's log.
   */
  async waitFor<T>(
    description: string,
    look: (note: Note) => Promise<T | undefined | false>,
    options: WaitOptions,
  ): Promise<T> {
    const begin = performance.now();
    let seen: unknown;
    let refusal: unknown;
    for (;;) {
      try {
        const found = await look((note) => {
          seen = note;
        });
        if (found !== undefined && found !== false) return found;
        refusal = undefined;
      } catch (error) {
        refusal = error;
      }
      if (performance.now() - begin > options.deadlineMs) break;
      await delay(options.everyMs ?? 200);
    }
    const noted =
      seen === undefined ? "" : `\nlast seen: ${typeof seen === "string" ? seen : JSON.stringify(seen)}`;
    const failed = refusal === undefined ? "" : `\nlast error: ${String(refusal)}`;
    throw new Error(
      `waited ${options.deadlineMs / 1000} s in vain for: ${description}${noted}${failed}\n${this.logs()}`,
    );
  }

  /** The end of every daemon's log. */
  logs(lines = 40): string {
    return this.hosts
      .record()
      .nodes.map(({ name }) => `--- ${name}\n${lastLines(`${this.hosts.dir}/${name}/daemon.log`, lines)}`)
      .join("\n");
  }
}
