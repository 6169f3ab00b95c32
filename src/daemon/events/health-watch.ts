import type { EventData } from "../../api/contract/events.ts";
import type { EventLog } from "./event-log.ts";

export interface HealthWatchDeps {
  readonly events: EventLog;
  /** What is the matter now, from what is here. */
  readonly read: () => EventData<"health.changed">;
}

/** Milliseconds: of events that come together one conclusion is drawn. */
const settleMs = 250;

/** Tells when what a person should know of has changed. It looks when something happened, or when told to. */
export class HealthWatch {
  readonly #deps: HealthWatchDeps;
  #last: string;
  #timer: NodeJS.Timeout | undefined;
  #off: () => void = () => undefined;

  constructor(deps: HealthWatchDeps) {
    this.#deps = deps;
    this.#last = JSON.stringify({ ceph: null, checks: [], conditions: [] });
  }

  start(): void {
    this.#off = this.#deps.events.on(({ type }) => {
      if (type !== "health.changed") this.lookSoon();
    });
    this.lookSoon();
  }

  stop(): void {
    this.#off();
    clearTimeout(this.#timer);
  }

  lookSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#look();
    }, settleMs).unref();
  }

  #look(): void {
    const { ceph, checks, conditions } = this.#deps.read();
    const sorted = (codes: readonly string[]): string[] => [...new Set(codes)].sort().slice(0, 256);
    const now = { ceph, checks: sorted(checks), conditions: sorted(conditions) };
    const text = JSON.stringify(now);
    if (text === this.#last) return;
    this.#last = text;
    this.#deps.events.emit("health.changed", now);
  }
}
