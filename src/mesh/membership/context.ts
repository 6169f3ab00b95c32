import type { Logger } from "pino";
import type { PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { MemberCertificate } from "../identity/certificate.ts";
import type { Contact, LobbyRequest, Sight } from "../lobby/messages.ts";
import type { InterfaceFact } from "./cidr.ts";
import type { JournalStanding } from "./claim-standing.ts";
import type { Clock } from "./clock.ts";
import type { FormationDecisions } from "./decisions.ts";
import type { Founded, Lifecycle, LifecycleRecord, Removed } from "./lifecycle.ts";
import type { Neighbour } from "./neighbours.ts";
import type { MembershipSettings } from "./settings.ts";
import type { ClaimWindow } from "./window.ts";

/** The lobby's asking side: dial, check the Noise identity when `expect` is given, one request, one reply. */
export interface LobbyAsker {
  ask(
    target: { readonly address: string; readonly port: number; readonly expect?: PeerId },
    request: Json,
    options: { readonly deadlineMs: number; readonly signal?: AbortSignal },
  ): Promise<{ readonly peer: PeerId; readonly reply: Json }>;
}

/** A lobby that mDNS announces: a hint where to knock. */
export interface LobbySighting {
  readonly instance: string;
  readonly port: number;
  readonly addresses: readonly string[];
  readonly txt: Readonly<Record<string, string>>;
}

/** What this room needs of discovery. */
export interface LobbySightings {
  sightings(): readonly LobbySighting[];
  on(event: "seen" | "changed" | "lost", listener: (sighting: LobbySighting) => void): () => void;
}

/** Who knocks: the PeerId is proved by the connection. */
export interface Knocker {
  readonly peer: PeerId;
  /** IP address. */
  readonly address: string;
}

/** How a fellow member can be reached in the mesh. */
export interface Fellow {
  readonly certificate: MemberCertificate;
  readonly address: string;
  readonly meshPort: number | null;
}

/** What a running member answers from in the lobby. */
export interface MemberView {
  readonly clusterName: string;
  readonly meshPort: number | null;
  /** What its copy of the journal, and the document's denials, say of a node. */
  standing(peer: PeerId): JournalStanding;
  /** Members to dial first, best first. */
  contacts(): readonly Contact[];
  /** A fellow member knocks with a valid certificate of this cluster and no tombstone: let it into the mesh. */
  introduced(fellow: Fellow): void;
  /** A node shows the secret of a join token: whether it may join by it. */
  honourToken(peer: PeerId, secret: string): boolean;
  /** Whether the mesh holds a connection with that member now. */
  connected(peer: PeerId): boolean;
}

/** What happened to this node. Each is called again at start for the state that it is in. */
export interface MembershipHooks {
  /** The commit point is passed: start etcd, journal the admissions, then call `admitted` for this node itself. */
  onFounded(founded: Founded): void | Promise<void>;
  onMember(certificate: MemberCertificate, contacts: readonly Contact[]): void | Promise<void>;
  /** A claim, or a provisional founding, came to nothing: fresh again. */
  onReleased(reason: string): void | Promise<void>;
  onRemoved(removed: Removed): void | Promise<void>;
  /** A fellow member has answered in its lobby with its certificate. */
  onFellow(fellow: Fellow): void;
  /** State, cluster or name as announced has changed. */
  onAnnouncement(): void;
  /** A lobby has answered: who is in sight, or what it says of itself, may have changed. */
  onNeighbours?(): void;
}

/** What the roles of a node share: facts, the durable record and a way to ask. */
export interface Context {
  readonly self: PeerId;
  readonly startedAt: number;
  readonly settings: MembershipSettings;
  readonly decisions: FormationDecisions;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly record: LifecycleRecord;
  neighbours(): readonly Neighbour[];
  neighbour(peer: PeerId): Neighbour | undefined;
  /** Sighted lobbies that have neither answered nor failed yet. */
  untried(): number;
  /** When (epoch milliseconds) a lobby was sighted, or knocked, for the first time; null while none was. */
  sightedAt(): number | null;
  interfaces(): readonly InterfaceFact[];
  window(): ClaimWindow;
  sight(): Sight;
  memberView(): MemberView | null;
  hooks(): MembershipHooks;
  /** Put the next state on disk, then act on it. */
  become(next: Lifecycle, why: string): void;
  /** Ask a neighbour where it last answered. Throws PEER_UNREACHABLE, DEADLINE_EXCEEDED or CANCELLED. */
  ask(peer: PeerId, request: LobbyRequest): Promise<Json>;
  /** Something that roles decide on has changed: let the present one step. */
  wake(): void;
  /** Run in the background; `stop` waits for it. Failures are logged. */
  background(what: string, run: () => Promise<void>): void;
}

/** What a node does while it is in one state. */
export interface Role {
  /** Act on the facts of this moment; the answer is when to be called again without an event, or null. */
  step(): number | null;
  /** What the node waits for, in words for its operator; null when for nothing. */
  waitingFor(): string | null;
}
