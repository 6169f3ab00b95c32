import { messageOf } from "../../errors/microceph-error.ts";
import type { EntryId, PeerId } from "../../ids/ids.ts";
import type { MemberCertificate } from "../identity/certificate.ts";
import {
  type Contact,
  claimReplySchema,
  type DecisionNumber,
  type LobbyRequest,
  lobbyVersion,
  plainReplySchema,
} from "../lobby/messages.ts";
import type { ClaimOutcome } from "./admission-facts.ts";
import type { Context } from "./context.ts";
import { admission } from "./lobby-door.ts";

/** What came of handing something to a node in the lobby. */
export type DeliveryOutcome = ClaimOutcome;

/**
 * What a member brings to nodes in its lobby for the lease holder: itself, or asked by rpc. All of it can be
 * repeated without harm.
 */
export class Deliveries {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Deliver the claim of a reservation. `accepted`: the node has it on disk. */
  async claim(
    peer: PeerId,
    reservation: { readonly entry: EntryId; readonly number: DecisionNumber },
  ): Promise<ClaimOutcome> {
    const state = this.#context.record.current;
    if (state.state !== "member") return notAMember;
    return this.#deliver(
      peer,
      {
        v: lobbyVersion,
        kind: "claim",
        as: "member",
        certificate: { ...state.certificate },
        clusterName: state.clusterName,
        ...reservation,
      },
      claimReplySchema,
    );
  }

  /** Deliver the certificate of an admission. */
  async admit(
    peer: PeerId,
    admitted: {
      readonly certificate: MemberCertificate;
      readonly clusterName: string;
      readonly contacts: readonly Contact[];
    },
  ): Promise<ClaimOutcome> {
    const { certificate, clusterName, contacts } = admitted;
    // The sender's own check: a certificate goes to the node that it names, and to no other.
    if (certificate.peer !== peer) return { outcome: "refused", code: "bad-proof" };
    const request = admission("request", certificate, clusterName, contacts) as unknown as LobbyRequest;
    return this.#deliver(peer, request, plainReplySchema);
  }

  /** Set a node free that holds a claim of this cluster up to that reservation. */
  async release(peer: PeerId, upTo: DecisionNumber | null): Promise<ClaimOutcome> {
    const state = this.#context.record.current;
    if (state.state !== "member") return notAMember;
    const { certificate } = state;
    return this.#deliver(
      peer,
      {
        v: lobbyVersion,
        kind: "release",
        cluster: certificate.cluster,
        certificate: { ...certificate },
        upTo: upTo === null ? null : { ...upTo },
      },
      plainReplySchema,
    );
  }

  async #deliver(
    peer: PeerId,
    request: LobbyRequest,
    schema: typeof claimReplySchema | typeof plainReplySchema,
  ): Promise<ClaimOutcome> {
    try {
      const reply = schema.parse(await this.#context.ask(peer, request));
      if ("ok" in reply) return { outcome: "accepted" };
      if ("refused" in reply && reply.refused === "listening") return { outcome: "later" };
      if ("refused" in reply) return { outcome: "refused", code: reply.refused };
      return { outcome: "unreachable", detail: reply.error };
    } catch (error) {
      return { outcome: "unreachable", detail: messageOf(error) };
    }
  }
}

// The node itself has said nothing: its reservation must not be abandoned for that.
const notAMember: ClaimOutcome = { outcome: "unreachable", detail: "this node is not a member yet" };
