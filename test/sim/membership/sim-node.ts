import { pino } from "pino";
import { MicrocephError } from "../../../src/errors/microceph-error.ts";
import type { PeerId } from "../../../src/ids/ids.ts";
import type { Json } from "../../../src/ids/json.ts";
import type { LobbySighting, MemberView } from "../../../src/mesh/membership/context.ts";
import type { Founded } from "../../../src/mesh/membership/lifecycle.ts";
import { Membership } from "../../../src/mesh/membership/membership.ts";
import { type FormationGuards, weakened } from "./weakened.ts";
import type { World } from "./world.ts";

/** Thrown into a node's code where it is killed. */
export class Killed extends Error {}

type Listener = (sighting: LobbySighting) => void;

/** One run of a node's daemon: memory that a kill destroys. */
export class SimRun {
  readonly membership: Membership;
  readonly startedAt: number;
  alive = true;
  /** Outcomes of claims, as a lease holder remembers them. */
  readonly outcomes = new Map<string, { outcome: "accepted" } | { outcome: "refused"; code: string }>();
  readonly refusals = new Map<PeerId, { code: string; at: number }>();
  readonly busy = new Set<string>();
  /** Records in this member's copy of the journal. */
  head = 0;
  readonly seen = new Map<string, LobbySighting>();
  readonly listeners: Record<"seen" | "changed" | "lost", Set<Listener>> = {
    seen: new Set(),
    changed: new Set(),
    lost: new Set(),
  };

  constructor(node: SimNode, world: World) {
    this.startedAt = world.time.now();
    const guarded = <T>(value: T): T => {
      if (!this.alive) throw new Killed();
      return value;
    };
    this.membership = new Membership(
      {
        name: node.name,
        version: "sim",
        settings: {
          expect: world.options.expect,
          windowShut: world.options.shut?.includes(node.index) ?? false,
        },
      },
      {
        identity: { peerId: node.peer },
        lobby: {
          ask: (target, request, { deadlineMs }) => world.ask(node, this, target, request, deadlineMs),
        },
        lobbyPort: () => 7443,
        discovery: {
          sightings: () => [...this.seen.values()],
          on: (event, listener) => {
            this.listeners[event].add(listener);
            return () => this.listeners[event].delete(listener);
          },
        },
        store: {
          get: (key) => node.store.get(key),
          put: (key, value) => {
            guarded(null);
            world.step(node, this, `before put ${describe(value)}`);
            node.store.set(key, structuredClone(value));
            world.persisted(node);
            world.step(node, this, `after put ${describe(value)}`);
          },
        },
        clock: {
          now: () => world.time.now(),
          after: (ms, run) => world.time.timer(ms, null, () => world.whenAwake(node, this, run)),
        },
        random: () => world.random.next(),
        decisions: weakened(world.options.guards),
        log: world.options.trace ? traceLog(node, world) : silent,
        interfaces: () => [
          { name: "eth0", address: node.address, cidr: `${node.address}/24`, defaultRoute: false },
        ],
        disks: () => ({ count: 0, bytes: 0 }),
        memberView: () => (this.alive ? this.#view(node, world) : null),
        hooks: {
          onFounded: (founded: Founded) => world.founded(node, this, founded),
          onMember: () => undefined,
          onReleased: () => undefined,
          onRemoved: () => undefined,
          onFellow: () => undefined,
          onAnnouncement: () => world.announce(node, this),
        },
      },
    );
  }

  #view(node: SimNode, world: World): MemberView | null {
    const state = this.membership.lifecycle;
    if (state.state !== "member") return null;
    const journal = world.journals.get(state.certificate.cluster);
    if (journal === undefined) return null;
    return {
      clusterName: journal.name,
      meshPort: 7444,
      standing: (peer) => journal.standing(peer, this.head),
      contacts: () => [{ peer: node.peer, addresses: [node.address], port: 7444 }],
      introduced: () => undefined,
      honourToken: () => false,
      connected: () => true,
    };
  }
}

/** A machine: its identity, its disk, and its daemon when that runs. */
export class SimNode {
  readonly index: number;
  readonly peer: PeerId;
  readonly name: string;
  readonly address: string;
  readonly store = new Map<string, Json>();
  run: SimRun | null = null;
  /** Until then it is stopped like by SIGSTOP; 0: it is not. */
  pausedUntil = 0;
  /** Kill it at its so-manieth step from now. */
  killAtStep: number | null = null;
  steps = 0;
  readonly stepNames: string[] = [];

  constructor(index: number, peer: PeerId) {
    this.index = index;
    this.peer = peer;
    this.name = `n${index + 1}`;
    this.address = `10.77.0.${index + 11}`;
  }

  /** The state that is on its disk. */
  get durable(): DurableLifecycle {
    const value = this.store.get("lifecycle") as unknown as { lifecycle: DurableLifecycle } | undefined;
    return value?.lifecycle ?? { state: "fresh" };
  }
}

/** As much of the stored lifecycle as the invariants look at. */
export interface DurableLifecycle {
  readonly state: string;
  readonly claim?: { readonly cluster: string; readonly by: string; readonly confirmed?: boolean };
  readonly key?: { readonly id: string };
  readonly acceptors?: readonly PeerId[];
  readonly certificate?: { readonly cluster: string; readonly peer: string };
}

export function durableCluster({ claim, key, certificate }: DurableLifecycle): string | null {
  return claim?.cluster ?? key?.id ?? certificate?.cluster ?? null;
}

function describe(value: Json): string {
  const state = (
    value as { lifecycle?: { state: string; claim?: { confirmed?: boolean; by: string } } } | null
  )?.lifecycle;
  if (state === undefined) return "wish";
  const detail =
    state.claim === undefined ? "" : ` ${state.claim.by}${state.claim.confirmed ? " confirmed" : ""}`;
  return `${state.state}${detail}`;
}

const silent = pino({ level: "silent" });

function traceLog(node: SimNode, world: World): typeof silent {
  const write = (fields: object, text: string): void => {
    world.note(node, `${text} ${JSON.stringify(fields)}`);
  };
  return { ...silent, info: write, debug: write, warn: write, error: write } as unknown as typeof silent;
}

export function unreachable(text: string): MicrocephError {
  return new MicrocephError("PEER_UNREACHABLE", text);
}

export type Guards = Partial<FormationGuards>;
