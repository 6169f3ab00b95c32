import { type FSWatcher, watch } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { MicrocephError } from "../../errors/microceph-error.ts";
import { isAlive, type ProcessRecord } from "./processes.ts";
import type { EnsureResult, Runner, UnitSpec, UnitStatus } from "./runner.ts";
import { type StartSupervisor, startDetached } from "./start-supervisor.ts";
import { defaultStopSeconds, specHash, UnitFolder, unitNames } from "./unit-folder.ts";

export interface ProcessRunnerOptions {
  /** Folder of all units, `<state>/supervisors`. */
  readonly folder: string;
  /** Path of supervise.sh; default: beside this module (a bundle has a copy beside itself). */
  readonly script?: string;
  /** How supervisors are started; default: as processes in sessions of their own. */
  readonly start?: StartSupervisor;
  /** Milliseconds between two looks for supervisors that died; default 5 s. */
  readonly sweepMs?: number;
  /** Back-off before a program is started again, in milliseconds; default 1 s doubling to 30 s, reset after 60 s. */
  readonly backOff?: { readonly firstMs: number; readonly mostMs: number; readonly resetMs: number };
}

const defaultBackOff = { firstMs: 1000, mostMs: 30_000, resetMs: 60_000 };
const startDeadlineMs = 10_000;
/** Milliseconds a supervisor has beyond its program's own time to stop. */
const stopMarginMs = 5000;

/**
 * Runs each unit under a supervisor of its own (supervise.sh), so that it lives on when the daemon is stopped, killed
 * or upgraded. All state is in the unit's folder: a new daemon process finds the supervisors there and adopts them,
 * however they were started.
 */
export class ProcessRunner implements Runner {
  readonly #options: ProcessRunnerOptions;
  readonly #log: Logger;
  readonly #queues = new Map<string, Promise<unknown>>();
  /** Units that were ensured and not stopped since: their supervisors are repaired. */
  readonly #wanted = new Set<string>();
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #listeners = new Set<(status: UnitStatus) => void>();
  readonly #lastSeen = new Map<string, string>();
  #sweep: NodeJS.Timeout | undefined;

  constructor(options: ProcessRunnerOptions, deps: { readonly log: Logger }) {
    this.#options = options;
    this.#log = deps.log;
  }

  async open(): Promise<void> {
    await mkdir(this.#options.folder, { recursive: true, mode: 0o700 });
    for (const unit of await unitNames(this.#options.folder)) this.#watch(unit);
    this.#sweep = setInterval(() => void this.#repairAll(), this.#options.sweepMs ?? 5000);
    this.#sweep.unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep);
    this.#wanted.clear();
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
    this.#listeners.clear();
    await Promise.allSettled(this.#queues.values());
  }

  ensure(
    unit: string,
    spec: UnitSpec,
    options: { readonly restartIfChanged?: boolean } = {},
  ): Promise<EnsureResult> {
    return this.#oneAtATime(unit, async (folder) => {
      const result = await this.#ensure(folder, spec, options.restartIfChanged ?? false);
      this.#wanted.add(unit);
      this.#watch(unit);
      return result;
    });
  }

  stop(unit: string, options: { readonly removeAlso?: boolean } = {}): Promise<void> {
    return this.#oneAtATime(unit, async (folder) => {
      this.#wanted.delete(unit);
      if (!(await folder.exists())) return;
      await this.#stop(folder);
      if (!options.removeAlso) return;
      this.#watchers.get(unit)?.close();
      this.#watchers.delete(unit);
      this.#lastSeen.delete(unit);
      await folder.remove();
    });
  }

  restart(unit: string): Promise<UnitStatus> {
    return this.#oneAtATime(unit, async (folder) => {
      const spec = await folder.spec();
      if (!spec) throw new MicrocephError("NOT_FOUND", `there is no unit ${unit}`, { data: { unit } });
      await this.#stop(folder);
      await this.#start(folder, spec);
      this.#wanted.add(unit);
      return this.#status(folder);
    });
  }

  async status(unit: string): Promise<UnitStatus | undefined> {
    const folder = this.#folder(unit);
    return (await folder.exists()) ? this.#status(folder) : undefined;
  }

  async list(): Promise<UnitStatus[]> {
    const units = await unitNames(this.#options.folder);
    return Promise.all(units.map((unit) => this.#status(this.#folder(unit))));
  }

  onChange(listener: (status: UnitStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #ensure(folder: UnitFolder, spec: UnitSpec, restartIfChanged: boolean): Promise<EnsureResult> {
    if ((await isAlive(await folder.supervisor())) && !(await folder.forbidden())) {
      const present = await folder.spec();
      if (present && specHash(present) === specHash(spec)) {
        return { action: "unchanged", status: await this.#status(folder) };
      }
      if (!restartIfChanged) return { action: "differs", status: await this.#status(folder) };
      await this.#stop(folder);
      await this.#start(folder, spec);
      return { action: "restarted", status: await this.#status(folder) };
    }
    // Forbidden: an earlier stop was not finished.
    if (await folder.forbidden()) await this.#stop(folder);
    await this.#start(folder, spec);
    return { action: "started", status: await this.#status(folder) };
  }

  /** Start a supervisor; if another daemon process has just started one, that one is taken. */
  async #start(folder: UnitFolder, spec: UnitSpec): Promise<void> {
    await folder.write(spec);
    await folder.allow();
    const { firstMs, mostMs, resetMs } = this.#options.backOff ?? defaultBackOff;
    const stopMs = (spec.stopSeconds ?? defaultStopSeconds) * 1000;
    const times = [stopMs, firstMs, mostMs, resetMs];
    const script = this.#options.script ?? join(import.meta.dirname, "supervise.sh");
    await (this.#options.start ?? startDetached)({
      unit: folder.unit,
      argv: ["/bin/sh", script, folder.path, specHash(spec), ...times.map(String)],
      stopSeconds: (stopMs + stopMarginMs) / 1000,
    });
    const end = performance.now() + startDeadlineMs;
    while (!(await isAlive(await folder.supervisor()))) {
      if (performance.now() > end) {
        throw new MicrocephError("PROGRAM_FAILED", `the supervisor of ${folder.unit} did not start`, {
          data: { unit: folder.unit, log: join(folder.path, "log") },
        });
      }
      await delay(5);
    }
  }

  async #stop(folder: UnitFolder): Promise<void> {
    await folder.forbid();
    const stopMs = ((await folder.spec())?.stopSeconds ?? defaultStopSeconds) * 1000;
    // Asked again each second: a signal may fall between the shell's check and its wait.
    await endProcess(await folder.supervisor(), stopMs + stopMarginMs, 1000);
    // A supervisor that was killed leaves its program. It is asked once: some of Ceph's daemons take a second
    // TERM badly.
    await endProcess(await folder.child(), stopMs, stopMs);
  }

  async #status(folder: UnitFolder): Promise<UnitStatus> {
    const written = await folder.status();
    const supervisor = await folder.supervisor();
    const child = await folder.child();
    const supervised = await isAlive(supervisor);
    const running = await isAlive(child);
    const stopped = !running && (written?.state === "stopped" || (await folder.forbidden()));
    return {
      unit: folder.unit,
      state: supervised ? (written?.state ?? "starting") : stopped ? "stopped" : "unsupervised",
      pid: running && child ? child.pid : null,
      supervisorPid: supervised && supervisor ? supervisor.pid : null,
      restarts: written?.restarts ?? 0,
      lastExit: written?.lastExit ?? null,
      reason:
        supervised || stopped
          ? (written?.reason ?? "")
          : "its supervisor is gone without having been asked to",
      since: (written?.since ?? 0) * 1000,
    };
  }

  #folder(unit: string): UnitFolder {
    return new UnitFolder(this.#options.folder, unit);
  }

  /** One thing at a time for each unit. */
  async #oneAtATime<T>(unit: string, act: (folder: UnitFolder) => Promise<T>): Promise<T> {
    const folder = this.#folder(unit);
    const before = this.#queues.get(unit) ?? Promise.resolve();
    const run = before.then(() => act(folder));
    const settled = run.catch(() => undefined);
    this.#queues.set(unit, settled);
    try {
      return await run;
    } finally {
      if (this.#queues.get(unit) === settled) this.#queues.delete(unit);
      void this.#report(unit);
    }
  }

  async #repairAll(): Promise<void> {
    for (const unit of [...this.#wanted]) {
      if (await isAlive(await this.#folder(unit).supervisor())) continue;
      await this.#oneAtATime(unit, async (folder) => {
        const spec = await folder.spec();
        if (!this.#wanted.has(unit) || !spec || (await isAlive(await folder.supervisor()))) return;
        this.#log.warn({ unit }, "the supervisor of a unit is gone, another is started");
        await this.#start(folder, spec);
      }).catch((error: unknown) =>
        this.#log.error({ unit, err: error }, "the supervisor of a unit could not be started"),
      );
    }
  }

  #watch(unit: string): void {
    if (this.#watchers.has(unit) || this.#sweep === undefined) return;
    try {
      const watcher = watch(this.#folder(unit).path, { persistent: false }, (_event, name) => {
        if (name === "status" || name === "child") void this.#report(unit);
      });
      watcher.on("error", () => {
        watcher.close();
        this.#watchers.delete(unit);
      });
      this.#watchers.set(unit, watcher);
    } catch (error) {
      this.#log.warn({ unit, err: error }, "a unit's folder cannot be watched");
    }
  }

  /** Tell the listeners if a unit's status is another one than last told. */
  async #report(unit: string): Promise<void> {
    if (this.#listeners.size === 0) return;
    const status = await this.status(unit).catch(() => undefined);
    if (!status) return;
    const text = JSON.stringify(status);
    if (this.#lastSeen.get(unit) === text) return;
    this.#lastSeen.set(unit, text);
    for (const listener of this.#listeners) listener(status);
  }
}

/** TERM, again after each `againMs`, and KILL after the deadline. Returns when the process is gone. */
async function endProcess(
  record: ProcessRecord | undefined,
  deadlineMs: number,
  againMs: number,
): Promise<void> {
  if (!record) return;
  const begin = performance.now();
  let nextSignal = 0;
  while (await isAlive(record)) {
    const waited = performance.now() - begin;
    if (waited >= nextSignal) {
      nextSignal = waited + againMs;
      signalProcess(record.pid, waited >= deadlineMs ? "SIGKILL" : "SIGTERM");
    }
    await delay(Math.min(200, 10 + waited / 10));
  }
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
