import type { PeerId } from "../../../src/ids/ids.ts";
import type {
  AdmissionFacts,
  AdmissionStep,
  ClaimOutcome,
} from "../../../src/mesh/membership/admission-facts.ts";
import { planAdmission } from "../../../src/mesh/membership/admission-plan.ts";
import type { SimJournal } from "./sim-journal.ts";
import { Killed, type SimNode, type SimRun } from "./sim-node.ts";
import type { World } from "./world.ts";

export interface ControlDeps {
  readonly world: World;
  readonly node: SimNode;
  readonly run: SimRun;
  /** Call another member over the mesh. */
  readonly rpc: (to: SimNode, action: (run: SimRun) => void) => void;
}

/** One round of a member's daemon: pull the journal; with the lease, plan admissions and carry them out. */
export function controlCluster(deps: ControlDeps): void {
  const { world, node, run } = deps;
  const state = run.membership.lifecycle;
  if (state.state !== "member") return;
  const journal = world.journals.get(state.certificate.cluster);
  if (journal === undefined) return;
  const holder = currentHolder(world, journal);
  if (holder !== null && !world.isCut(node, holder)) run.head = journal.records.length;
  if (holder !== node) return;
  const plan = planAdmission(factsFor(deps, journal));
  for (const step of plan.steps) {
    if (!run.alive) return;
    try {
      carryOut(deps, journal, step);
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      return;
    }
  }
}

/** A stand-in for the lease: kept while its holder has a majority of the first three members, else moved. */
function currentHolder(world: World, journal: SimJournal): SimNode | null {
  // A member becomes a voter when it has arrived: until then the founder's vote is the only one.
  const voters = [...journal.members().keys()]
    .flatMap((peer) => world.node(peer) ?? [])
    .filter(({ durable }) => durable.state === "member")
    .slice(0, 3);
  const able = (node: SimNode): boolean =>
    isUp(world, node) &&
    2 * voters.filter((other) => isUp(world, other) && !world.isCut(node, other)).length > voters.length;
  const present = journal.holder === null ? undefined : world.node(journal.holder);
  if (present !== undefined && able(present)) {
    journal.holderLostAt = 0;
    return present;
  }
  if (journal.holderLostAt === 0) journal.holderLostAt = world.time.now();
  if (world.time.now() - journal.holderLostAt < 3_000) return null;
  const next = voters.find(able);
  journal.holder = next?.peer ?? journal.holder;
  return next ?? null;
}

function isUp(world: World, node: SimNode): boolean {
  return node.run !== null && node.pausedUntil <= world.time.now() && node.durable.state === "member";
}

function factsFor({ world, node, run }: ControlDeps, journal: SimJournal): AdmissionFacts {
  const now = world.time.now();
  const reports = new Map<
    PeerId,
    { at: number; neighbours: ReturnType<SimRun["membership"]["neighbours"]> }
  >();
  for (const peer of journal.members().keys()) {
    const member = world.node(peer);
    if (member?.run == null || (member !== node && world.isCut(node, member))) continue;
    reports.set(peer, { at: now, neighbours: member.run.membership.neighbours() });
  }
  return {
    now,
    steadyNow: now,
    self: node.peer,
    cluster: { id: journal.key.id, name: journal.name, publicKey: journal.key.publicKey },
    reports,
    journal: journal.facts(),
    admission: { mode: "auto", until: null },
    verdicts: new Map(),
    outcomes: new Map(
      journal.reservations().flatMap(({ entry }) => {
        const outcome = run.outcomes.get(entry);
        return outcome === undefined ? [] : [[entry, outcome] as const];
      }),
    ),
    refusals: run.refusals,
  };
}

function carryOut(deps: ControlDeps, journal: SimJournal, step: AdmissionStep): void {
  const { world, node, run } = deps;
  const key = `${step.do} ${step.peer}`;
  world.note(node, `plan: ${step.do} ${world.node(step.peer)?.name} ${"reason" in step ? step.reason : ""}`);
  switch (step.do) {
    case "reserve":
      world.step(node, run, "before reserve");
      journal.open(step.peer, step.name, step.handle, world.time.now());
      world.step(node, run, "after reserve");
      return;
    case "close":
      world.step(node, run, "before admission");
      journal.done(step.entry);
      world.step(node, run, "after admission");
      return;
    case "abandon":
      world.step(node, run, "before abandon");
      journal.abandon(step.entry, step.reason);
      world.step(node, run, "after abandon");
      return;
    case "claim":
      via(
        deps,
        step.via,
        key,
        (member) => member.membership.deliverClaim(step.peer, { entry: step.entry, number: step.number }),
        (outcome) => {
          if (outcome.outcome === "unreachable" || outcome.outcome === "later") return;
          run.outcomes.set(step.entry, outcome);
          if (outcome.outcome === "refused")
            run.refusals.set(step.peer, { code: outcome.code, at: world.time.now() });
        },
      );
      return;
    case "admit": {
      const certificate = journal.members().get(step.peer)?.certificate;
      if (certificate === undefined) return;
      via(deps, step.via, key, (member) =>
        member.membership.deliverAdmit(step.peer, { certificate, clusterName: journal.name, contacts: [] }),
      );
      return;
    }
    case "release":
      via(deps, step.via, key, (member) => member.membership.deliverRelease(step.peer, null));
  }
}

/** Do it here, or over the mesh at another member, one at a time for each node and kind. */
function via(
  { world, node, run, rpc }: ControlDeps,
  member: PeerId,
  key: string,
  action: (run: SimRun) => Promise<ClaimOutcome>,
  then: (outcome: ClaimOutcome) => void = () => undefined,
): void {
  if (run.busy.has(key)) return;
  run.busy.add(key);
  world.time.after(4_000, null, () => run.busy.delete(key));
  const back = (outcome: ClaimOutcome): void => {
    run.busy.delete(key);
    then(outcome);
  };
  const target = world.node(member);
  if (target === undefined) return;
  if (target === node) {
    void action(run).then((outcome) => world.whenAwake(node, run, () => back(outcome)));
    return;
  }
  rpc(target, (other) => {
    void action(other).then((outcome) => {
      if (world.isCut(node, target)) return;
      world.time.after(5, null, () => world.whenAwake(node, run, () => back(outcome)));
    });
  });
}
