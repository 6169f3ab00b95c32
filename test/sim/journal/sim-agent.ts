import { MicrocephError } from "../../../src/errors/microceph-error.ts";
import type { EntryId } from "../../../src/ids/ids.ts";
import type { Json } from "../../../src/ids/json.ts";
import { AgentFence, type FenceStore } from "../../../src/state/journal/agent-fence.ts";
import type { DecisionNumber } from "../../../src/state/journal/types.ts";
import type { Random } from "../../support/virtual-time.ts";
import type { Act } from "./truth.ts";

export interface SimOrder {
  readonly entry: EntryId;
  readonly number: DecisionNumber;
  /** Of the holder that gives it: what the agent cannot know, and the invariants must. */
  readonly epoch: number;
}

export interface SimAgentDeps {
  readonly node: string;
  readonly store: FenceStore;
  readonly random: Random;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** Linearizable; undefined: the guard is off. */
  readonly confirm: ((entry: EntryId, number: DecisionNumber) => Promise<boolean>) | undefined;
  /** What can be seen on this node of an act of the entry; survives a crash. */
  readonly hasHappened: (entry: EntryId) => boolean;
  readonly act: (act: Act) => void;
}

/** Carries out orders as the real agent does: one step of an entry at a time, confirm, act, remember. */
export class SimAgent {
  readonly #deps: SimAgentDeps;
  readonly #fence: AgentFence;
  readonly #running = new Map<EntryId, Promise<Json>>();

  constructor(deps: SimAgentDeps) {
    this.#deps = deps;
    this.#fence = new AgentFence({ store: deps.store });
  }

  async obey(order: SimOrder): Promise<Json> {
    const before = this.#running.get(order.entry);
    if (before) {
      await before.catch(() => undefined);
      return this.obey(order);
    }
    const verdict = this.#fence.check(order.entry, order.number);
    if (verdict.verdict === "done") return verdict.result;
    if (verdict.verdict === "stale") throw stale(order.entry);
    const done = this.#step(order);
    this.#running.set(order.entry, done);
    try {
      return await done;
    } finally {
      this.#running.delete(order.entry);
    }
  }

  async cancel(entry: EntryId, number: DecisionNumber): Promise<boolean> {
    await this.#running.get(entry)?.catch(() => undefined);
    return this.#fence.acknowledgeCancel(entry, number);
  }

  async #step({ entry, number, epoch }: SimOrder): Promise<Json> {
    const { random, sleep, confirm, hasHappened, act, node, now } = this.#deps;
    const begunAt = now();
    await sleep(random.between(0, 800));
    if (!hasHappened(entry)) {
      if (confirm && !(await confirm(entry, number))) throw stale(entry);
      // Between the confirmation and the act anything may happen: a pause of many seconds, a new holder.
      await sleep(random.chance(0.2) ? random.between(0, 8000) : random.between(0, 400));
      act({ node, entry, number, epoch, begunAt });
    }
    await sleep(random.between(0, 400));
    this.#fence.finish(entry, number, { by: node });
    return { by: node };
  }
}

function stale(entry: EntryId): MicrocephError {
  return new MicrocephError("STALE_DECISION", `simulated: ${entry} was overtaken`);
}
