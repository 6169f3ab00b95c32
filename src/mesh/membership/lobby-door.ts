import type { PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import { type MemberCertificate, verifyCertificate } from "../identity/certificate.ts";
import {
  type AdmitRequest,
  type ClaimStatusRequest,
  type ConfirmRequest,
  type Contact,
  type FounderClaimRequest,
  frameBytes,
  type Greeting,
  type IntroduceRequest,
  type LobbyRequest,
  lobbyVersion,
  type MemberClaimRequest,
  maxContacts,
  maxLobbyFrameBytes,
  type RefusalCode,
  type ReleaseRequest,
  type TokenRequest,
} from "../lobby/messages.ts";
import { isFounderClaimProved } from "./claim-proof.ts";
import { claimStatus } from "./claim-standing.ts";
import type { Context, Knocker } from "./context.ts";
import type { HeldClaim } from "./lifecycle.ts";
import { isLater } from "./member-role.ts";
import { provenClusters, seenFoundings } from "./neighbours.ts";

/** What the door tells the rest of the node. */
export interface DoorEvents {
  greeting(): Greeting;
  /** Someone who can be greeted back at this port. */
  knocked(from: Knocker, port: number): void;
  /** The claimer of this node was heard of. */
  claimerHeard(): void;
  /** A claim takes the place of the own founding of that cluster: give its claims back. */
  foundingOvertaken(claim: HeldClaim): void;
}

/**
 * Answers the lobby's requests. Every answer is made in one go, without waiting for anything, so requests
 * cannot cross each other; what is promised is on disk before the answer leaves.
 */
export class LobbyDoor {
  readonly #context: Context;
  readonly #events: DoorEvents;

  constructor(context: Context, events: DoorEvents) {
    this.#context = context;
    this.#events = events;
  }

  answer(from: Knocker, request: LobbyRequest): Json {
    switch (request.kind) {
      case "hello":
        if (request.port !== undefined) this.#events.knocked(from, request.port);
        return toJson(this.#events.greeting());
      case "claim":
        return request.as === "founder"
          ? this.#founderClaims(from, request)
          : this.#memberClaims(from, request);
      case "confirm":
        return this.#confirm(from, request);
      case "release":
        return this.#release(from, request);
      case "admit":
        return this.#admit(request);
      case "introduce":
        return this.#introduce(from, request);
      case "token":
        return this.#token(from, request);
      case "claim-status":
        return this.#claimStatus(from, request);
    }
  }

  #token(from: Knocker, { cluster, secret }: TokenRequest): Json {
    const state = this.#context.record.current;
    const view = this.#context.memberView();
    if (state.state !== "member" || view === null) return refused("not-a-member");
    if (state.certificate.cluster !== cluster) return refused("not-this-cluster");
    return view.honourToken(from.peer, secret) ? done() : refused("bad-token");
  }

  #founderClaims(from: Knocker, request: FounderClaimRequest): Json {
    if (!isFounderClaimProved(request, from.peer, this.#context.self)) return refused("bad-proof");
    const { cluster, clusterKey, name } = request;
    return this.#decide({ by: "founder", cluster, clusterKey, name, founder: from.peer, confirmed: false });
  }

  #memberClaims(from: Knocker, request: MemberClaimRequest): Json {
    const certificate = verifyCertificate(request.certificate, { peer: from.peer });
    if (certificate === undefined) return refused("bad-proof");
    return this.#decide({
      by: "member",
      cluster: certificate.cluster,
      clusterKey: certificate.clusterKey,
      name: request.clusterName,
      claimer: from.peer,
      entry: request.entry,
      number: { generation: request.number.generation, revision: request.number.revision },
    });
  }

  #decide(claim: HeldClaim): Json {
    const { self, clock, startedAt, settings, record, window, neighbours, decisions, log } = this.#context;
    const { sightedAt, untried } = this.#context;
    const now = clock.now();
    const decision = decisions.decideClaim(
      {
        self,
        now,
        startedAt,
        sightedAt: sightedAt(),
        untried: untried(),
        quietMs: settings.quietMs,
        lifecycle: record.current,
        windowOpen: window().open,
        joining: record.joining,
        clusters: provenClusters(neighbours(), now).map(({ id }) => id),
        foundings: seenFoundings(neighbours(), now, claim.cluster),
      },
      claim,
    );
    switch (decision.answer) {
      case "refuse":
        log.debug({ cluster: claim.cluster, by: claim.by, code: decision.code }, "claim refused");
        return refused(decision.code);
      case "hold":
        this.#events.foundingOvertaken(claim);
        this.#context.become({ state: "claimed", claim }, `claimed by a ${claim.by}`);
        break;
      case "repeat":
        break;
    }
    this.#events.claimerHeard();
    return this.#accepted();
  }

  #confirm(from: Knocker, { cluster }: ConfirmRequest): Json {
    const { record, clock, startedAt, settings } = this.#context;
    const state = record.current;
    // Taken further already: it is promised to that cluster for good.
    if (state.state === "member" && state.certificate.cluster === cluster) return this.#accepted();
    if (state.state !== "claimed" || state.claim.cluster !== cluster) return refused("no-claim");
    const { claim } = state;
    if (claim.by === "member") return this.#accepted();
    if (claim.founder !== from.peer) return refused("no-claim");
    this.#events.claimerHeard();
    // The answer carries what this node sees, and the founder counts on it.
    if (clock.now() - startedAt < settings.quietMs) return refused("listening");
    if (!claim.confirmed) {
      this.#context.become({ state: "claimed", claim: { ...claim, confirmed: true } }, "confirmed");
    }
    return this.#accepted();
  }

  #release(from: Knocker, request: ReleaseRequest): Json {
    const state = this.#context.record.current;
    if (state.state !== "claimed" || state.claim.cluster !== request.cluster) return done();
    const { claim } = state;
    const byFounder = claim.by === "founder" && claim.founder === from.peer;
    if (!byFounder) {
      const proof = verifyCertificate(request.certificate, { cluster: claim.cluster, peer: from.peer });
      if (proof === undefined) return refused("bad-proof");
      // A late release of an earlier reservation must not undo a later claim.
      const spared =
        claim.by === "member" &&
        (request.upTo === null ||
          isLater(
            { generation: claim.number.generation, decision: claim.number.revision },
            { generation: request.upTo.generation, decision: request.upTo.revision },
          ));
      if (spared) return refused("no-claim");
    }
    this.#context.become({ state: "fresh" }, "released by its claimer");
    return done();
  }

  #admit(request: AdmitRequest): Json {
    const { self, record } = this.#context;
    const state = record.current;
    const certificate = verifyCertificate(request.certificate, { peer: self });
    if (certificate === undefined) return refused("bad-proof");
    if (state.state === "member" && state.certificate.cluster === certificate.cluster) return done();
    // Only what was claimed is admitted: no certificate takes a node that has not agreed.
    if (state.state !== "claimed" || state.claim.cluster !== certificate.cluster) return refused("no-claim");
    this.#context.become(
      { state: "member", certificate, clusterName: request.clusterName, contacts: request.contacts },
      "admitted",
    );
    return done();
  }

  #introduce(from: Knocker, request: IntroduceRequest): Json {
    const state = this.#context.record.current;
    const view = this.#context.memberView();
    if (state.state !== "member" || view === null) return refused("not-a-member");
    const { cluster } = state.certificate;
    const certificate = verifyCertificate(request.certificate, { cluster, peer: from.peer });
    if (certificate === undefined) return refused("bad-proof");
    const { tombstone } = view.standing(from.peer);
    if (tombstone !== null) return toJson({ v: lobbyVersion, tombstone });
    view.introduced({ certificate, address: from.address, meshPort: request.meshPort });
    return toJson({ v: lobbyVersion, ok: true, certificate: state.certificate, meshPort: view.meshPort });
  }

  #claimStatus(from: Knocker, request: ClaimStatusRequest): Json {
    const view = this.#context.memberView();
    const journal = view === null ? null : (peer: PeerId) => view.standing(peer);
    const answer = claimStatus(this.#context.record.current, journal, from.peer, request);
    if (answer.status !== "admitted" || view === null) return toJson({ v: lobbyVersion, ...answer });
    return admission("status", answer.certificate, view.clusterName, view.contacts());
  }

  #accepted(): Json {
    return toJson({ v: lobbyVersion, ok: true, ...this.#context.sight() });
  }
}

function toJson(value: object): Json {
  return value as unknown as Json;
}

function refused(code: RefusalCode): Json {
  return { v: lobbyVersion, refused: code };
}

function done(): Json {
  return { v: lobbyVersion, ok: true };
}

/** A certificate with as many contacts as one frame holds: the `admit` request, or the reply to a question. */
export function admission(
  form: "status" | "request",
  certificate: MemberCertificate,
  clusterName: string,
  contacts: readonly Contact[],
): Json {
  const head = form === "status" ? { status: "admitted" } : { kind: "admit" };
  for (let count = Math.min(contacts.length, maxContacts); ; count -= 1) {
    const message = toJson({
      v: lobbyVersion,
      ...head,
      certificate,
      clusterName,
      contacts: contacts.slice(0, count).map((one) => ({ ...one, addresses: one.addresses.slice(0, 4) })),
    });
    if (count === 0 || frameBytes(message) <= maxLobbyFrameBytes) return message;
  }
}
