import { meshMembers } from "../../../src/daemon/cluster/mesh-members.ts";
import type { PeerId } from "../../../src/ids/ids.ts";
import { Roster } from "../../../src/mesh/host/roster.ts";
import type { MemberCertificate, Tombstone } from "../../../src/mesh/identity/certificate.ts";
import type { Contact, LobbyRequest } from "../../../src/mesh/lobby/messages.ts";
import type { Context, Fellow, MemberView } from "../../../src/mesh/membership/context.ts";
import { type DoorEvents, LobbyDoor } from "../../../src/mesh/membership/lobby-door.ts";
import type { Membership } from "../../../src/state/journal/members.ts";
import type { MembersJournal } from "./members-journal.ts";

export interface DoorGuards {
  /** The mesh refuses, at the handshake, whoever is not on the roster. */
  readonly gater: boolean;
  /** A removal is remembered for good: as a tombstone in every copy of the journal. */
  readonly tombstone: boolean;
}

export const allDoorGuards: DoorGuards = { gater: true, tombstone: true };

/** A node with both its doors: the real lobby's answers, roster and membership; only their wires are simulated. */
export class DoorNode {
  readonly peer: PeerId;
  readonly name: string;
  readonly address: string;
  readonly certificate: MemberCertificate;
  readonly lobby: LobbyDoor;
  readonly roster: Roster;
  /** Decisions in this node's copy of the journal. */
  head: number;
  /** Follows neither tombstones nor anything else: its key is in other hands. */
  rogue = false;
  readonly #journal: MembersJournal;
  readonly #guards: DoorGuards;
  readonly #contacts: readonly Contact[];

  constructor(
    self: { peer: PeerId; name: string; address: string; certificate: MemberCertificate; head: number },
    deps: { journal: MembersJournal; guards: DoorGuards; contacts: readonly Contact[] },
  ) {
    const { peer, name, address, certificate, head } = self;
    this.peer = peer;
    this.name = name;
    this.address = address;
    this.certificate = certificate;
    this.head = head;
    this.#journal = deps.journal;
    this.#guards = deps.guards;
    this.#contacts = deps.contacts;
    this.roster = new Roster(peer, deps.journal.key.id);
    this.lobby = new LobbyDoor(this.#context(), {} as DoorEvents);
    this.apply();
  }

  knock(from: DoorNode): "ok" | "refused" {
    const request: LobbyRequest = {
      v: 1,
      kind: "introduce",
      certificate: from.certificate as unknown as Extract<LobbyRequest, { kind: "introduce" }>["certificate"],
      meshPort: 7444,
    };
    const reply = this.lobby.answer({ peer: from.peer, address: from.address }, request);
    return JSON.stringify(reply).includes('"ok":true') ? "ok" : "refused";
  }

  /** The copy has grown. */
  learn(head: number): void {
    this.head = Math.max(this.head, head);
    this.apply();
  }

  /** As the daemon does when its journal has changed. */
  apply(): void {
    const { members, tombstones } = this.copy();
    const facts = { self: this.peer, contacts: this.#contacts, nodes: {} };
    const mesh = meshMembers({ ...facts, members: members.keys(), tombstones: tombstones.keys() });
    for (const peer of mesh.denied) this.roster.deny(peer);
    this.roster.setMembers(mesh.members);
  }

  /** What it makes of its copy: without tombstones a removal is only an absence. */
  copy(): Membership {
    const known = this.#journal.membership(this.head);
    return this.#guards.tombstone ? known : { ...known, tombstones: new Map<PeerId, Tombstone>() };
  }

  /** Whether its copy holds the removal of this peer, whatever it makes of that. */
  knowsRemoved(peer: PeerId): boolean {
    return this.#journal.membership(this.head).tombstones.has(peer);
  }

  #context(): Context {
    const view: MemberView = {
      clusterName: "sim",
      meshPort: 7444,
      standing: (peer) => ({
        head: { generation: 1, revision: this.head },
        certificate: this.copy().members.get(peer)?.certificate ?? null,
        tombstone: this.copy().tombstones.get(peer) ?? null,
        admission: null,
        denied: false,
      }),
      contacts: () => [],
      introduced: (fellow) => this.#introduced(fellow),
      honourToken: () => false,
      connected: () => true,
    };
    const current = { state: "member", certificate: this.certificate };
    // As much of a node as answering an introduction takes.
    return { self: this.peer, record: { current }, memberView: () => view } as unknown as Context;
  }

  #introduced({ certificate, address, meshPort }: Fellow): void {
    if (this.copy().tombstones.has(certificate.peer)) return;
    this.roster.introduce(certificate, { peer: certificate.peer, addresses: [address], port: meshPort });
  }
}
