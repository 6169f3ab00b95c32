import { setTimeout as realSleep } from "node:timers/promises";
import type { Logger } from "pino";
import { messageOf } from "../../errors/microceph-error.ts";
import { type EtcdApi, WatchCompacted } from "../etcd/etcd-api.ts";
import { recordPrefix } from "./keys.ts";
import { catchUp, type RecordSink } from "./read-records.ts";

export interface JournalFeedDeps {
  readonly etcd: EtcdApi;
  readonly copy: RecordSink;
  readonly log: Logger;
  /** Resolves after that many milliseconds, or early when aborted. Default: timers. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

const retryMs = { first: 200, longest: 5000 };

/** On voters: keeps the copy of the journal up with the local etcd, by a watch. Works in a minority too. */
export class JournalFeed {
  readonly #deps: JournalFeedDeps;
  #stop = new AbortController();
  #loop: Promise<void> = Promise.resolve();

  constructor(deps: JournalFeedDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#stop = new AbortController();
    this.#loop = this.#run(this.#stop.signal);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const sleep = this.#deps.sleep ?? sleepUnreferenced;
    let pauseMs = retryMs.first;
    while (!signal.aborted) {
      try {
        await this.#follow(signal, () => {
          pauseMs = retryMs.first;
        });
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof WatchCompacted) continue;
        this.#deps.log.debug({ error: messageOf(error) }, "feed of the journal interrupted");
        await sleep(pauseMs, signal);
        pauseMs = Math.min(pauseMs * 2, retryMs.longest);
      }
    }
  }

  async #follow(signal: AbortSignal, onProgress: () => void): Promise<void> {
    const { etcd, copy } = this.#deps;
    const revision = await catchUp(etcd, copy, { serializable: true, signal });
    onProgress();
    await etcd.watch(
      recordPrefix,
      revision + 1,
      (events) => {
        const values = events.filter((event) => event.type === "put").map((event) => event.kv.value);
        const newest = copy.head()?.revision ?? 0;
        copy.append(values.map((text) => JSON.parse(text)));
        const after = copy.head()?.revision ?? 0;
        // Ours came in by the writer already; anything else that does not fit must be read anew.
        const last = Number(events.at(-1)?.kv.key.slice(recordPrefix.length));
        if (after === newest && last > after) throw new Error(`record ${last} does not continue the copy`);
      },
      signal,
    );
  }
}

function sleepUnreferenced(ms: number, signal: AbortSignal): Promise<void> {
  return realSleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
