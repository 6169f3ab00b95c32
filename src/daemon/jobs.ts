import { randomUUID } from "node:crypto";
import type { Logger } from "pino";
import { isMicrocephError, messageOf } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";

export type JobState = "running" | "success" | "failure";

/** One long operation of this node: recorded at each step, resumed after a crash. */
export interface JobRecord {
  readonly id: string;
  readonly kind: string;
  readonly request: Json;
  readonly state: JobState;
  /** 0 to 100. */
  readonly progress: number;
  /** What it is doing now, for people. */
  readonly step: string;
  /** Kind-specific durable memory of the runner: chosen ids, finished parts. */
  readonly memory: Json;
  readonly result: Json;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface JobTools {
  readonly signal: AbortSignal;
  readonly memory: Json;
  /** Record durable memory before acting on it. */
  remember(memory: Json): void;
  report(progress: number, step: string): void;
}

/** Carries out one kind of job; runs again from the start after a crash, with its memory. */
export type JobRunner = (request: Json, tools: JobTools) => Promise<Json>;

/** What jobs need of the local store. */
export interface JobStore {
  get(key: string): Json | undefined;
  put(key: string, value: Json): void;
  delete(key: string): void;
  list(prefix: string): [string, Json][];
}

export interface JobsDeps {
  readonly store: JobStore;
  readonly runners: Readonly<Record<string, JobRunner>>;
  readonly now: () => number;
  readonly log: Logger;
  readonly onChange: (job: JobRecord) => void;
}

const prefix = "job/";
const keptJobs = 100;

/** The node's jobs: durable records, one runner per kind. */
export class Jobs {
  readonly #deps: JobsDeps;
  readonly #running = new Map<string, { readonly done: Promise<void>; readonly stop: AbortController }>();
  /** What this run of the daemon alone knows: how far a job is, and ends that could not be written. */
  readonly #latest = new Map<string, JobRecord>();
  #stopped = false;

  constructor(deps: JobsDeps) {
    this.#deps = deps;
  }

  /** Take up every job that an earlier run of the daemon left unfinished. */
  resume(): void {
    for (const job of this.list()) if (job.state === "running") this.#launch(job);
  }

  start(kind: string, request: Json): JobRecord {
    const at = new Date(this.#deps.now()).toISOString();
    const job: JobRecord = {
      id: randomUUID(),
      kind,
      request,
      state: "running",
      progress: 0,
      step: "starting",
      memory: null,
      result: null,
      error: null,
      createdAt: at,
      updatedAt: at,
    };
    this.#save(job);
    this.#forgetOld();
    this.#launch(job);
    return job;
  }

  get(id: string): JobRecord | undefined {
    return this.#latest.get(id) ?? (this.#deps.store.get(prefix + id) as unknown as JobRecord | undefined);
  }

  list(): JobRecord[] {
    return this.#deps.store
      .list(prefix)
      .map(([, value]) => value as unknown as JobRecord)
      .map((job) => this.#latest.get(job.id) ?? job)
      .sort((a, b) => Number(a.createdAt > b.createdAt) - Number(a.createdAt < b.createdAt));
  }

  /** The job when it ended, or as it is after the time. */
  async wait(id: string, timeoutMs: number): Promise<JobRecord | undefined> {
    const running = this.#running.get(id);
    if (running) {
      let timer: NodeJS.Timeout | undefined;
      const timeout = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, timeoutMs);
      });
      await Promise.race([running.done, timeout]);
      clearTimeout(timer);
    }
    return this.get(id);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const { stop } of this.#running.values()) stop.abort();
    await Promise.allSettled([...this.#running.values()].map(({ done }) => done));
  }

  #launch(job: JobRecord): void {
    const stop = new AbortController();
    const done = this.#run(job, stop.signal).finally(() => this.#running.delete(job.id));
    this.#running.set(job.id, { done, stop });
    // Begun while the daemon stops: for the next run.
    if (this.#stopped) stop.abort();
  }

  async #run(job: JobRecord, signal: AbortSignal): Promise<void> {
    let current = job;
    const change = (to: Partial<JobRecord>): void => {
      current = { ...current, ...to, updatedAt: new Date(this.#deps.now()).toISOString() };
    };
    const update = (to: Partial<JobRecord>): void => {
      change(to);
      this.#save(current);
      this.#latest.delete(job.id);
      this.#deps.onChange(current);
    };
    const runner = this.#deps.runners[job.kind];
    try {
      if (!runner) throw new Error(`no runner for jobs of kind ${job.kind}`);
      const result = await runner(job.request, {
        signal,
        memory: job.memory,
        remember: (memory) => update({ memory }),
        // Nothing is resumed from it: it is not worth a write that waits for the disk.
        report: (progress, step) => {
          // Jobs look again at each event: two that told the same again and again would wake each other for ever.
          if (current.progress === progress && current.step === step) return;
          change({ progress, step });
          this.#latest.set(job.id, current);
          this.#deps.onChange(current);
        },
      });
      update({ state: "success", progress: 100, step: "done", result });
    } catch (error) {
      // A stopping daemon leaves the job as it is: the next run takes it up.
      if (this.#stopped) {
        this.#latest.delete(job.id);
        return;
      }
      const code = isMicrocephError(error) ? error.code : "INTERNAL";
      this.#deps.log.warn({ job: job.id, kind: job.kind, error: messageOf(error) }, "job failed");
      try {
        update({ state: "failure", step: "failed", error: { code, message: messageOf(error) } });
      } catch (unsaved) {
        // What is on disk stays as it was: the next run of the daemon takes the job up.
        this.#deps.log.error({ job: job.id, error: messageOf(unsaved) }, "job cannot be recorded");
        this.#latest.set(job.id, current);
      }
    }
  }

  #save(job: JobRecord): void {
    this.#deps.store.put(prefix + job.id, job as unknown as Json);
  }

  #forgetOld(): void {
    const ended = this.list().filter((job) => job.state !== "running");
    for (const job of ended.slice(0, Math.max(0, ended.length - keptJobs))) {
      this.#deps.store.delete(prefix + job.id);
    }
  }
}
