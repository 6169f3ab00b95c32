import { nextStep } from "./attempt.ts";
import { decideClaim } from "./claim-decision.ts";
import { electFounder } from "./election.ts";

/**
 * The pure decisions that formation rests on. They are handed in, so that the simulation can weaken one and must
 * find the violation that it prevents (two clusters on one LAN).
 */
export interface FormationDecisions {
  /** Whether a fresh node founds. */
  readonly electFounder: typeof electFounder;
  /** What a provisional founder does next. */
  readonly nextStep: typeof nextStep;
  /** Whether a node takes a claim. */
  readonly decideClaim: typeof decideClaim;
}

export const formationDecisions: FormationDecisions = { electFounder, nextStep, decideClaim };
