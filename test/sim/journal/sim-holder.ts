import { isMicrocephError, MicrocephError } from "../../../src/errors/microceph-error.ts";
import type { PeerId } from "../../../src/ids/ids.ts";
import type { Decider } from "../../../src/state/journal/decider.ts";
import type { Entry } from "../../../src/state/journal/types.ts";
import type { LeaseKeeper } from "../../../src/state/lease/lease-keeper.ts";
import type { MemoryCopy } from "../../support/memory-copy.ts";
import type { Random } from "../../support/virtual-time.ts";
import { kind, type SimOrder } from "./sim-agent.ts";

export interface SimHolderDeps {
  readonly decider: Decider<null>;
  readonly lease: LeaseKeeper;
  readonly copy: MemoryCopy;
  readonly peers: () => readonly PeerId[];
  readonly random: Random;
  readonly sleep: (ms: number) => Promise<void>;
  readonly order: (to: PeerId, order: SimOrder) => Promise<unknown>;
  readonly cancel: (to: PeerId, entry: Entry) => Promise<boolean>;
  readonly takesUp: (epoch: number) => void;
  /** Ask for the agent's acknowledgement before an entry in its hands is abandoned. */
  readonly cancelAcknowledgement: boolean;
}

/** What a holder does with the lease: take up what is open, then decide one monitor change after the other. */
export class SimHolder {
  readonly #deps: SimHolderDeps;

  constructor(deps: SimHolderDeps) {
    this.#deps = deps;
    deps.lease.on("taken", ({ epoch }) => void this.#hold(epoch));
  }

  #holds(epoch: number): boolean {
    return this.#deps.lease.held()?.epoch === epoch;
  }

  async #hold(epoch: number): Promise<void> {
    const { decider, random, sleep, takesUp } = this.#deps;
    let ready = false;
    while (this.#holds(epoch)) {
      try {
        if (!ready) {
          await decider.restampOpen();
          if (!this.#holds(epoch)) return;
          ready = true;
          takesUp(epoch);
        }
        await this.#pass(epoch);
      } catch (error) {
        if (isMicrocephError(error, "LEASE_LOST")) return;
        if (!isMicrocephError(error)) throw error;
      }
      await sleep(random.between(50, 300));
    }
  }

  async #pass(epoch: number): Promise<void> {
    const { decider, copy, random, peers, sleep } = this.#deps;
    const open = copy.openEntries();
    if (open.length === 0) {
      // A plan asks Ceph, which takes its time.
      await sleep(random.between(0, 1000));
      const agent = random.pick(peers());
      await decider.open({ kind, body: { agent }, agent, reason: "the next monitor" }, { epoch });
      return;
    }
    for (const entry of open) await this.#carry(entry);
  }

  async #carry(entry: Entry): Promise<void> {
    const { decider, random } = this.#deps;
    await decider.handed(entry.id);
    if (random.chance(0.2)) return this.#withdraw(entry);
    try {
      await this.#order(entry);
    } catch (error) {
      // Not heard of again: perhaps another agent would do better.
      if (isMicrocephError(error, "DEADLINE_EXCEEDED") && random.chance(0.5)) return this.#withdraw(entry);
      if (!isMicrocephError(error, "STALE_DECISION")) throw error;
      const renewed = await decider.restamp(entry.id);
      if (random.chance(0.5)) return this.#withdraw(renewed);
      await this.#order(renewed);
    }
    await decider.close(entry.id, "done", { reason: "carried out" });
  }

  async #order(entry: Entry): Promise<void> {
    const { lease, order } = this.#deps;
    const held = lease.held();
    if (!held) throw new MicrocephError("LEASE_LOST", "simulated: no order without the lease");
    await order(agentOf(entry), { entry: entry.id, number: entry.number, epoch: held.epoch });
  }

  async #withdraw(entry: Entry): Promise<void> {
    const { decider, cancel, cancelAcknowledgement } = this.#deps;
    if (!cancelAcknowledgement || (await cancel(agentOf(entry), entry))) {
      await decider.close(entry.id, "abandoned", { reason: "another plan", cancelAcknowledged: true });
    } else {
      await decider.close(entry.id, "done", { reason: "carried out before" });
    }
  }
}

function agentOf(entry: Entry): PeerId {
  if (entry.agent === null) throw new Error(`${entry.id} has no agent`);
  return entry.agent;
}
