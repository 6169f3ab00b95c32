import { Agent, type Step } from "../../../src/ceph/control/agent.ts";
import type { EntryId } from "../../../src/ids/ids.ts";
import type { Json } from "../../../src/ids/json.ts";
import { AgentFence, type FenceStore } from "../../../src/state/journal/agent-fence.ts";
import type { DecisionNumber } from "../../../src/state/journal/types.ts";
import { silent } from "../../support/simulated-voter.ts";
import type { Random } from "../../support/virtual-time.ts";
import type { Act } from "./truth.ts";

export const kind = "sim.mon";

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

/** The real agent and fence, with a step that takes its time before and after an act that is seen. */
export class SimAgent {
  readonly #agent: Agent;

  constructor(deps: SimAgentDeps) {
    const { store, confirm } = deps;
    this.#agent = new Agent({
      fence: new AgentFence({ store }),
      confirm: async (entry, number) => (confirm ? confirm(entry, number) : true),
      steps: { [kind]: stepOf(deps) },
      log: silent,
    });
  }

  obey({ entry, number, epoch }: SimOrder): Promise<Json> {
    return this.#agent.obey({ entry, number, kind, body: null, payload: epoch });
  }

  cancel(entry: EntryId, number: DecisionNumber): Promise<boolean> {
    return this.#agent.cancel({ entry, number, kind, body: null });
  }
}

function stepOf({ random, sleep, hasHappened, act, node, now }: SimAgentDeps): Step {
  return async ({ entry, number, payload }, { confirm }) => {
    const begunAt = now();
    await sleep(random.between(0, 800));
    if (!hasHappened(entry)) {
      await confirm();
      // Between the confirmation and the act anything may happen: a pause of many seconds, a new holder.
      await sleep(random.chance(0.2) ? random.between(0, 8000) : random.between(0, 400));
      act({ node, entry, number, epoch: Number(payload), begunAt });
    }
    await sleep(random.between(0, 400));
    return { by: node };
  };
}
