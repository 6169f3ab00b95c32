import { type ChildProcess, spawn } from "node:child_process";
import { chmod, mkdir, unlink } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { Handle } from "../../ids/ids.ts";
import { runProgram } from "../../process/run-program.ts";
import { BoundedLog } from "./bounded-log.ts";
import {
  checkSocketPath,
  clientSocketName,
  defaultTimers,
  type EtcdTimers,
  type EtcdVersion,
  etcdArguments,
  parseVersion,
  peerSocketName,
} from "./etcd-arguments.ts";
import { EtcdClient } from "./etcd-client.ts";
import { type ExitCause, exitCauseOf, lastWords } from "./exit-cause.ts";
import { LeftOver } from "./left-over.ts";
import { electLoneVoter } from "./lone-voter.ts";
import { identify } from "./proc-identity.ts";
import { servesPeers } from "./serves-peers.ts";

export interface EtcdProcessOptions {
  /** Absolute path of the private directory: data, sockets, log. Made with mode 0700. */
  readonly dir: string;
  readonly name: Handle;
  /** All members of etcd, this one included or not. Used at the very first start only. */
  readonly peers: readonly { readonly name: Handle }[];
  /** `new`: the first member of a new cluster; `existing`: added as a learner before. First start only. */
  readonly mode: "new" | "existing";
  /** Keeps clusters apart: the cluster id. */
  readonly token: string;
  readonly timers?: EtcdTimers;
  /** Milliseconds before a crashed etcd is started again: first, doubling up to longest. */
  readonly restartMs?: { readonly first: number; readonly longest: number };
  /** Bytes of log kept, twice. */
  readonly logBytes?: number;
  /** Only for the guided recovery: make this member's data a cluster of its own. */
  readonly forceNewCluster?: boolean;
}

export interface ExitReport {
  readonly cause: ExitCause;
  readonly code: number | null;
  readonly signal: string | null;
  /** Milliseconds until it is started again, null: it will not be. */
  readonly restartInMs: number | null;
  /** etcd's own last words. */
  readonly detail: string;
}

const defaultRestartMs = { first: 250, longest: 15_000 };
/** A run this long counts as good: the next restart is quick again. */
const goodRunMs = 60_000;
const versionDeadlineMs = 10_000;
/** Milliseconds that `start` waits for it to run, and `stop` before it kills. */
const runDeadlineMs = 10_000;
const probeMs = 1000;
const foundDeadlineMs = 15_000;
const stopDeadlineMs = 5_000;
const checkMs = 30_000;

/**
 * A real etcd as a child process. It listens only on Unix sockets in a private directory, dies with this
 * process (parent-death signal), and is started again with growing pauses when it crashes. It never starts
 * empty where there was data: that is reported, for the caller to leave and join again as a learner.
 */
export class EtcdProcess {
  readonly clientSocket: string;
  readonly #options: EtcdProcessOptions;
  readonly #log: Logger;
  readonly #file: BoundedLog;
  readonly #leftOver: LeftOver;
  readonly #listeners = new Set<(report: ExitReport) => void>();
  readonly #restartMs: { readonly first: number; readonly longest: number };
  #version: EtcdVersion | null = null;
  #child: ChildProcess | null = null;
  #exited: Promise<void> = Promise.resolve();
  #final: ExitReport | null = null;
  #stopping = true;
  #restartTimer: NodeJS.Timeout | null = null;
  #checkTimer: NodeJS.Timeout | null = null;
  #pauseMs: number;

  constructor(options: EtcdProcessOptions, deps: { log: Logger }) {
    if (!isAbsolute(options.dir)) throw new TypeError("the etcd directory must be an absolute path");
    this.#options = options;
    this.#log = deps.log;
    this.#file = new BoundedLog({
      path: join(options.dir, "etcd.log"),
      maxBytes: options.logBytes ?? 4 * 1024 * 1024,
    });
    this.#leftOver = new LeftOver(options.dir);
    this.#restartMs = options.restartMs ?? defaultRestartMs;
    this.#pauseMs = this.#restartMs.first;
    this.clientSocket = join(options.dir, clientSocketName);
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** etcd's version, once started. */
  get version(): string | null {
    return this.#version?.text ?? null;
  }

  /** Where this member's etcd looks for a member's peer socket, and listens on its own. */
  peerSocketPath(name: Handle): string {
    return join(this.#options.dir, peerSocketName(name));
  }

  /** @returns the way to stop listening */
  onExit(listener: (report: ExitReport) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Resolves when it has read its data and runs (it answers calls once it knows a leader), or when that takes
   * longer than 10 s while it is being tried again; the first member of a new cluster must answer. Throws
   * MISSING_PROGRAM, PATH_TOO_LONG, and STATE_CORRUPT with `data.cause` "data-lost" or "removed" when it
   * cannot go on with the data it has.
   */
  async start(): Promise<void> {
    const { dir, name } = this.#options;
    if (!this.#stopping) throw new Error("etcd is started already");
    checkSocketPath(this.clientSocket);
    checkSocketPath(this.peerSocketPath(name));
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await chmod(dir, 0o700);
    const about = await runProgram("etcd", ["--version"], { deadlineMs: versionDeadlineMs });
    this.#version = parseVersion(about.stdout);
    if (await this.#leftOver.killProcess()) this.#log.warn("killed an etcd left over from an earlier run");
    const data = await this.#leftOver.data();
    if (data === "lost") throw unusable("data-lost", "its data directory is gone");
    const first = this.#options.mode === "new" && data !== "present";
    if (first && data === "unfinished") await this.#leftOver.setUnfinishedAside();
    this.#stopping = false;
    this.#final = null;
    this.#pauseMs = this.#restartMs.first;
    this.#checkTimer = setInterval(() => void this.#check(), checkMs);
    this.#checkTimer.unref();
    try {
      await this.#spawn();
      await this.#untilRunning();
      await this.#electAlone();
      if (first) await this.#untilFounded();
      else await this.#check();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Ask it to end, kill it after 5 s; resolves when it is gone. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#restartTimer) clearTimeout(this.#restartTimer);
    if (this.#checkTimer) clearInterval(this.#checkTimer);
    const child = this.#child;
    if (!child) return;
    child.kill("SIGTERM");
    const kill = setTimeout(() => child.kill("SIGKILL"), stopDeadlineMs);
    await this.#exited;
    clearTimeout(kill);
    await this.#check();
  }

  /** Move the data away, so that the next start joins anew. Only while stopped. */
  async setDataAside(now: Date): Promise<void> {
    if (!this.#stopping) throw new Error("etcd still runs");
    await this.#leftOver.setDataAside(`lost-${now.toISOString().replaceAll(":", "")}`);
  }

  async #spawn(): Promise<void> {
    const { dir, name } = this.#options;
    const version = this.#version;
    if (!version) throw new Error("the version of etcd is not known yet");
    const args = etcdArguments({ ...this.#options, timers: this.#options.timers ?? defaultTimers }, version);
    // A socket file that nobody listens on makes the bind fail. Those of other members are not ours.
    for (const path of [this.clientSocket, this.peerSocketPath(name)]) {
      await unlink(path).catch(() => undefined);
    }
    const logStart = await this.#file.size();
    // Stopped meanwhile: nobody would end what is started now.
    if (this.#stopping) return;
    const startedAt = performance.now();
    const child = await this.#file.withDescriptor((descriptor) =>
      // Node cannot set a parent-death signal; setpriv (util-linux) does and then becomes etcd.
      spawn("setpriv", ["--pdeathsig", "KILL", "--", "etcd", ...args], {
        cwd: dir,
        // A group of its own: a terminal's Ctrl-C must reach the daemon only, which stops etcd in order.
        detached: true,
        stdio: ["ignore", descriptor, descriptor],
        env: { PATH: process.env.PATH ?? "", ...unsupportedArchitecture(version) },
      }),
    );
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.once("error", (error: NodeJS.ErrnoException) => {
        if (child.pid !== undefined) return;
        this.#log.error({ error: error.message }, "etcd could not be started");
        void this.#onExit(null, error.code ?? null, logStart, startedAt).finally(resolve);
      });
      child.once("exit", (code, signal) => {
        void this.#onExit(code, signal, logStart, startedAt).finally(resolve);
      });
    });
    const identity = child.pid === undefined ? undefined : await identify(child.pid);
    if (identity) await this.#leftOver.recordProcess(identity);
  }

  async #onExit(
    code: number | null,
    signal: string | null,
    logStart: number,
    startedAt: number,
  ): Promise<void> {
    this.#child = null;
    const tail = await this.#file.tail(64 * 1024, logStart).catch(() => "");
    const cause = this.#stopping ? "stopped" : exitCauseOf(tail);
    if (performance.now() - startedAt > goodRunMs) this.#pauseMs = this.#restartMs.first;
    const restartInMs = cause === "crashed" ? this.#pauseMs : null;
    const report: ExitReport = { cause, code, signal, restartInMs, detail: lastWords(tail.split("\n")) };
    if (cause !== "stopped") {
      this.#log.warn({ cause, code, signal, restartInMs }, "etcd ended by itself");
    }
    if (restartInMs === null) this.#final = report;
    else this.#restartLater(restartInMs);
    for (const listener of this.#listeners) listener(report);
  }

  #restartLater(pauseMs: number): void {
    this.#pauseMs = Math.min(pauseMs * 2, this.#restartMs.longest);
    this.#restartTimer = setTimeout(() => {
      if (this.#stopping) return;
      this.#spawn().catch((error: unknown) => {
        this.#log.error({ error: messageOf(error) }, "etcd could not be started again");
        if (!this.#stopping) this.#restartLater(this.#pauseMs);
      });
    }, pauseMs);
    this.#restartTimer.unref();
  }

  /** Housekeeping, now and then: the log within its bound; that a learner has data, so that a loss shows. */
  async #check(): Promise<void> {
    try {
      await this.#file.bound();
      const joined = this.#options.mode === "existing" && (await this.#leftOver.data()) === "unfinished";
      if (joined) await this.#leftOver.recordStarted();
    } catch (error) {
      this.#log.warn({ error: messageOf(error) }, "housekeeping of etcd failed");
    }
  }

  /** A new cluster's first member answers once its first entry is on disk; before that nothing is lost with it. */
  async #untilFounded(): Promise<void> {
    const status = await new EtcdClient({ socketPath: this.clientSocket }).status({
      deadlineMs: foundDeadlineMs,
    });
    if (status.leader === "0") throw new MicrocephError("NOT_READY", "the new etcd elects no leader");
    await this.#leftOver.recordStarted();
  }

  async #electAlone(): Promise<void> {
    const socket = this.peerSocketPath(this.#options.name);
    await electLoneVoter(socket, this.#version?.text ?? "").catch((error: unknown) =>
      this.#log.debug({ error: messageOf(error) }, "etcd elects itself in its own time"),
    );
  }

  async #untilRunning(): Promise<void> {
    const end = performance.now() + runDeadlineMs;
    while (performance.now() < end) {
      const final = this.#final;
      if (final) {
        const cause = final.cause === "removed" ? "removed" : "data-lost";
        throw unusable(cause, final.detail.slice(0, 500));
      }
      if (await servesPeers(this.peerSocketPath(this.#options.name), probeMs)) return;
      await sleep(20);
    }
    this.#log.warn("etcd does not run yet");
  }
}

function unusable(cause: "data-lost" | "removed", detail: string): MicrocephError {
  const what = cause === "removed" ? "was removed from its cluster" : "cannot use its data";
  return new MicrocephError("STATE_CORRUPT", `etcd ${what}: ${detail}`, { data: { cause } });
}

/** Debian 12's etcd 3.4 refuses to run on arm64 without this; 3.5 supports it. */
function unsupportedArchitecture(version: EtcdVersion): Record<string, string> {
  return process.arch === "arm64" && version.minor < 5 ? { ETCD_UNSUPPORTED_ARCH: "arm64" } : {};
}
