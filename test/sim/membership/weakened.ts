import type { Attempt, AttemptFacts, AttemptStep } from "../../../src/mesh/membership/attempt.ts";
import type { FormationDecisions } from "../../../src/mesh/membership/decisions.ts";
import { formationDecisions } from "../../../src/mesh/membership/decisions.ts";

/** The guards of formation. All are on in the product; here each can be switched off from outside. */
export interface FormationGuards {
  /** Acceptors confirm before the commit, and are then not released by time. */
  readonly confirmPhase: boolean;
  /** A node holds one claim at a time. */
  readonly oneClaim: boolean;
  /** The acceptors are a majority of the fresh nodes that they see. */
  readonly majority: boolean;
  /** A founding seen elsewhere, which may be final already, stands in the way of another. */
  readonly otherFounding: boolean;
}

const allOn: FormationGuards = { confirmPhase: true, oneClaim: true, majority: true, otherFounding: true };

/** The real decisions, those without a guard with what they would decide if it did not exist. */
export function weakened(guards: Partial<FormationGuards>): FormationDecisions {
  const { confirmPhase, oneClaim, majority, otherFounding } = { ...allOn, ...guards };
  const { electFounder, nextStep, decideClaim } = formationDecisions;
  return {
    electFounder: (facts) => electFounder(otherFounding ? facts : { ...facts, foundings: [] }),
    decideClaim: (facts, claim) => {
      const decision = decideClaim(otherFounding ? facts : { ...facts, foundings: [] }, claim);
      const { lifecycle } = facts;
      const second = lifecycle.state === "claimed" && lifecycle.claim.cluster !== claim.cluster;
      return second && !oneClaim ? { answer: "hold", claim } : decision;
    },
    nextStep: (attempt, facts) => {
      const blind: Blindness = { toFreshNodes: !majority, toFoundings: !otherFounding };
      const step = nextStep(attemptSeen(attempt, blind), factsSeen(facts, blind));
      return confirmPhase ? step : withoutConfirming(step);
    },
  };
}

interface Blindness {
  /** Who sees no fresh nodes has a majority of them at once. */
  readonly toFreshNodes: boolean;
  readonly toFoundings: boolean;
}

function factsSeen(facts: AttemptFacts, blind: Blindness): AttemptFacts {
  return { ...facts, sight: sightSeen(facts.sight, blind) };
}

function attemptSeen(attempt: Attempt, blind: Blindness): Attempt {
  const participants = [...attempt.participants].map(
    ([peer, one]) => [peer, { ...one, sight: one.sight && sightSeen(one.sight, blind) }] as const,
  );
  return { ...attempt, participants: new Map(participants) };
}

function sightSeen(sight: AttemptFacts["sight"], blind: Blindness): AttemptFacts["sight"] {
  return {
    ...sight,
    ...(blind.toFreshNodes ? { sees: [], seesCount: 0 } : {}),
    ...(blind.toFoundings ? { foundings: [] } : {}),
  };
}

function withoutConfirming(step: AttemptStep): AttemptStep {
  return step.step === "confirm" ? { step: "commit", acceptors: step.peers } : step;
}
