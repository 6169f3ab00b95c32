import { messageOf } from "../../errors/microceph-error.ts";
import type { PeerId } from "../../ids/ids.ts";
import { verifyCertificate } from "../identity/certificate.ts";
import type { ClaimStatusReply } from "../lobby/messages.ts";
import { claimStatusReplySchema, lobbyVersion } from "../lobby/messages.ts";
import { isClaimForsaken } from "./claim-decision.ts";
import type { Context, Role } from "./context.ts";
import type { HeldClaim } from "./lifecycle.ts";
import { provenClusters } from "./neighbours.ts";
import { protocolTimes } from "./settings.ts";

/** Members asked after one claim at a time. */
const askedAtOnce = 2;

/** A claimed node: waits to be admitted, asks after its claim, and frees itself when it comes to nothing. */
export class ClaimedRole implements Role {
  readonly #context: Context;
  /** When the claimer was last heard of. */
  #heardAt: number;
  #askedAt = 0;
  #asking = 0;
  #turn = 0;
  #lastAnswer: string | null = null;

  constructor(context: Context) {
    this.#context = context;
    this.#heardAt = context.startedAt;
  }

  /** A request or an answer of the claimer arrived. */
  heard(): void {
    this.#heardAt = this.#context.clock.now();
  }

  /** A new claim is held. */
  begin(): void {
    this.heard();
    this.#askedAt = this.#context.clock.now();
    this.#lastAnswer = null;
  }

  step(): number | null {
    const state = this.#context.record.current;
    if (state.state !== "claimed") return null;
    const { clock } = this.#context;
    const now = clock.now();
    const claim = state.claim;
    const bound = claim.by === "founder" && !claim.confirmed;
    if (isClaimForsaken(claim, this.#heardAt, now)) {
      this.#release("its founder has been silent for 30 s");
      return null;
    }
    if (this.#asking === 0 && now - this.#askedAt >= protocolTimes.pollMs) {
      this.#askedAt = now;
      for (const peer of this.#whomToAsk(claim)) this.#askAfter(claim, peer);
    }
    const forsakenAt = bound ? this.#heardAt + protocolTimes.founderSilenceMs : Number.POSITIVE_INFINITY;
    return Math.min(forsakenAt, this.#askedAt + protocolTimes.pollMs + this.#context.random() * 200);
  }

  waitingFor(): string | null {
    const state = this.#context.record.current;
    if (state.state !== "claimed") return null;
    const { claim } = state;
    const cluster = `cluster ${claim.name} (${claim.cluster})`;
    const silent = Math.round((this.#context.clock.now() - this.#heardAt) / 1000);
    const answer = this.#lastAnswer === null ? "" : `; last answer: ${this.#lastAnswer}`;
    if (claim.by === "member") return `claimed by ${cluster}: waits to be admitted${answer}`;
    const founder = this.#context.neighbour(claim.founder)?.greeting.name ?? "?";
    const who = `${founder} (…${claim.founder.slice(-6)})`;
    const silence = silent > 5 ? `, silent for ${silent} s` : "";
    if (!claim.confirmed) return `claimed by ${who}${silence}, which is founding ${cluster}`;
    return (
      `has promised itself to ${cluster}, founded by ${who}${silence}: waits for it to admit this node${answer}; ` +
      "if that node is lost for good, `microceph mesh release` sets this one free"
    );
  }

  /** The founder, and members that have proved the cluster: two of them, in turn. */
  #whomToAsk(claim: HeldClaim): PeerId[] {
    const { clock, neighbours, neighbour } = this.#context;
    const proven = provenClusters(neighbours(), clock.now()).find(({ id }) => id === claim.cluster);
    const candidates = new Set<PeerId>(proven?.members ?? []);
    if (claim.by === "founder" && neighbour(claim.founder) !== undefined) candidates.add(claim.founder);
    const all = [...candidates].sort();
    this.#turn += 1;
    return all.slice(0, askedAtOnce).map((_, i) => all[(this.#turn + i) % all.length] as PeerId);
  }

  #askAfter(claim: HeldClaim, peer: PeerId): void {
    this.#asking += 1;
    this.#context.background("question after a claim", async () => {
      try {
        const reply = claimStatusReplySchema.parse(
          await this.#context.ask(peer, {
            v: lobbyVersion,
            kind: "claim-status",
            cluster: claim.cluster,
            number: claim.by === "member" ? claim.number : null,
          }),
        );
        if ("status" in reply) this.#answered(claim, peer, reply);
      } catch (error) {
        this.#context.log.debug({ peer, reason: messageOf(error) }, "no answer about the claim");
      } finally {
        this.#asking -= 1;
      }
      this.#context.wake();
    });
  }

  #answered(asked: HeldClaim, peer: PeerId, reply: ClaimStatusReply): void {
    const state = this.#context.record.current;
    // The claim may have been taken further, or replaced, while the question was on its way.
    if (state.state !== "claimed" || state.claim !== asked) return;
    if (asked.by === "member" || peer === asked.founder) this.heard();
    this.#lastAnswer = reply.status;
    if (reply.status === "unknown") this.#release("its claim came to nothing");
    if (reply.status !== "admitted") return;
    const { self } = this.#context;
    const certificate = verifyCertificate(reply.certificate, { cluster: asked.cluster, peer: self });
    if (certificate === undefined) return;
    this.#context.become(
      { state: "member", certificate, clusterName: reply.clusterName, contacts: reply.contacts },
      "admitted",
    );
  }

  #release(reason: string): void {
    this.#context.become({ state: "fresh" }, reason);
  }
}
