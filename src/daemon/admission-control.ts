import type { Logger } from "pino";
import type { DecisionWriter } from "../ceph/control/controller.ts";
import { messageOf } from "../errors/microceph-error.ts";
import type { EntryId, Handle, PeerId } from "../ids/ids.ts";
import type { MemberCertificate } from "../mesh/identity/certificate.ts";
import type { DecisionNumber } from "../mesh/lobby/messages.ts";
import type { AdmissionFacts, AdmissionPlan, ClaimOutcome } from "../mesh/membership/admission-facts.ts";
import { planAdmission } from "../mesh/membership/admission-plan.ts";

export const admitKind = "member.admit";

export interface AdmissionControlDeps {
  /** Everything but what this control remembers itself. */
  readonly facts: () => Omit<AdmissionFacts, "outcomes" | "refusals">;
  readonly writer: Pick<DecisionWriter, "open" | "close">;
  readonly sign: (peer: PeerId, handle: Handle, number: DecisionNumber) => Promise<MemberCertificate>;
  readonly openedNumber: (entry: EntryId) => DecisionNumber;
  /** Deliver through the member that sees the node: by rpc, or here. */
  readonly claim: (
    via: PeerId,
    peer: PeerId,
    entry: EntryId,
    number: DecisionNumber,
  ) => Promise<ClaimOutcome>;
  readonly admit: (via: PeerId, peer: PeerId) => Promise<void>;
  readonly release: (via: PeerId, peer: PeerId) => Promise<void>;
  /** Plan again after so many milliseconds. */
  readonly later: (ms: number) => void;
  readonly log: Logger;
}

/** Pause before a node that was finding out who is there is claimed again. */
const laterMs = 300;

/**
 * Carries out the admission plan on the lease holder. All that must survive is in the journal; what this
 * object remembers (answers to claims) only spares repeated questions.
 */
export class AdmissionControl {
  readonly #deps: AdmissionControlDeps;
  readonly #outcomes = new Map<EntryId, ClaimOutcome>();
  readonly #refusals = new Map<PeerId, { readonly code: string; readonly at: number }>();

  constructor(deps: AdmissionControlDeps) {
    this.#deps = deps;
  }

  /** The plan as it stands, also for `mesh status` on members that hold no lease. */
  plan(): AdmissionPlan {
    return planAdmission({ ...this.#deps.facts(), outcomes: this.#outcomes, refusals: this.#refusals });
  }

  /** Do every step of the plan; true when something has changed here, so that the plan may be another now. */
  async step(signal: AbortSignal, epoch: number): Promise<boolean> {
    const { steps } = this.plan();
    const results = await Promise.all(
      steps.map(async (step) => {
        if (signal.aborted) return false;
        try {
          return await this.#do(step, epoch);
        } catch (error) {
          this.#deps.log.warn(
            { step: step.do, peer: step.peer, error: messageOf(error) },
            "admission step failed",
          );
          return false;
        }
      }),
    );
    return results.includes(true);
  }

  /** True when the journal, or what is remembered here, has changed: what a node did is seen of it later. */
  async #do(step: AdmissionPlan["steps"][number], epoch: number): Promise<boolean> {
    const { writer } = this.#deps;
    switch (step.do) {
      case "reserve": {
        const { peer, name, handle } = step;
        const draft = { kind: admitKind, body: { peer, name, handle }, agent: null, reason: "admission" };
        await writer.open(draft, { epoch });
        return true;
      }
      case "claim": {
        const before = this.#outcomes.get(step.entry)?.outcome;
        const outcome = await this.#deps.claim(step.via, step.peer, step.entry, step.number);
        if (outcome.outcome === "later") {
          this.#deps.later(laterMs);
          return false;
        }
        this.#outcomes.set(step.entry, outcome);
        if (outcome.outcome === "refused") {
          this.#refusals.set(step.peer, { code: outcome.code, at: this.#deps.facts().steadyNow });
        }
        // The same answer leads to the same plan: a node that was asked again at once would be asked without end.
        return outcome.outcome !== "unreachable" && outcome.outcome !== before;
      }
      case "close": {
        const { entry, peer, handle } = step;
        const certificate = await this.#deps.sign(peer, handle, this.#deps.openedNumber(entry));
        const result = { certificate: { ...certificate } };
        await writer.close(entry, "done", { result, reason: `${handle} is a member` });
        this.#outcomes.delete(entry);
        return true;
      }
      case "abandon":
        await writer.close(step.entry, "abandoned", { reason: step.reason });
        this.#outcomes.delete(step.entry);
        return true;
      case "admit":
        await this.#deps.admit(step.via, step.peer);
        return false;
      case "release":
        await this.#deps.release(step.via, step.peer);
        return false;
    }
  }
}
