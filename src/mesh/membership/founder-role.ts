import { messageOf } from "../../errors/microceph-error.ts";
import type { ClusterId, PeerId } from "../../ids/ids.ts";
import { claimReplySchema, type LobbyRequest, lobbyVersion } from "../lobby/messages.ts";
import {
  type Attempt,
  type AttemptStep,
  newAttempt,
  withAnswer,
  withAsked,
  withConfirming,
} from "./attempt.ts";
import { founderClaim } from "./claim-proof.ts";
import type { Context, Role } from "./context.ts";
import { reached } from "./election.ts";
import type { Founding } from "./lifecycle.ts";
import { isEligible, isSeen } from "./neighbours.ts";
import { choosePublicNetwork, type NetworkChoice } from "./public-network.ts";

/** A provisional founder: claims the fresh nodes, has them confirm, and commits. */
export class FounderRole implements Role {
  readonly #context: Context;
  readonly #onRest: (failed: boolean) => void;
  #attempt: Attempt | null = null;
  #lastStep: AttemptStep | null = null;

  /** `onRest`: the attempt came to nothing; `failed`: by itself, not for another founding. */
  constructor(context: Context, onRest: (failed: boolean) => void) {
    this.#context = context;
    this.#onRest = onRest;
  }

  step(): number | null {
    const state = this.#context.record.current;
    if (state.state !== "founding") return null;
    const { clock } = this.#context;
    const attempt = this.#attemptFor(state);
    const choice = this.#reachable(state.key.id, attempt);
    const step = this.#context.decisions.nextStep(attempt, {
      self: this.#context.self,
      now: clock.now(),
      listensUntil: this.#context.startedAt + this.#context.settings.quietMs,
      expect: this.#context.settings.expect,
      sight: this.#context.sight(),
      reachable: choice?.nodes ?? [],
    });
    this.#lastStep = step;
    switch (step.step) {
      case "claim":
        for (const peer of step.peers) this.#claim(state, peer);
        return step.wakeAt;
      case "confirm":
        this.#attempt = withConfirming(this.#attempt ?? attempt, clock.now());
        for (const peer of step.peers) this.#confirm(state.key.id, peer);
        return step.wakeAt;
      case "commit":
        this.#commit(state, step.acceptors, choice);
        return null;
      case "yield":
        this.giveUp(step.reason, step.rest);
        return null;
    }
  }

  waitingFor(): string | null {
    const asked = [...(this.#attempt?.participants.values() ?? [])];
    const agreed = asked.filter(({ standing }) => standing === "accepted" || standing === "confirmed").length;
    const phase = this.#lastStep?.step === "confirm" ? "to confirm" : "to agree";
    return `founds a cluster: ${agreed + 1} of ${asked.length + 1} nodes agree, waits for the others ${phase}`;
  }

  /** Fresh again, on disk first; then the claims are given back. What is lost is asked for by the claimed. */
  giveUp(reason: string, failed: boolean): void {
    const state = this.#context.record.current;
    if (state.state !== "founding") return;
    this.#context.become({ state: "fresh" }, reason);
    this.#onRest(failed);
    this.releaseAll(state.key.id);
  }

  /** Tell everyone that was asked in the present attempt that it comes to nothing. */
  releaseAll(cluster: ClusterId): void {
    const attempt = this.#attempt;
    this.#attempt = null;
    if (attempt === null || attempt.cluster !== cluster) return;
    for (const peer of attempt.participants.keys()) {
      this.#context.background("release of a claim", async () => {
        await this.#context.ask(peer, {
          v: lobbyVersion,
          kind: "release",
          cluster,
          certificate: null,
          upTo: null,
        });
      });
    }
  }

  #attemptFor(state: Founding): Attempt {
    if (this.#attempt?.cluster !== state.key.id) {
      this.#attempt = newAttempt(state.key.id, this.#context.clock.now());
    }
    return this.#attempt;
  }

  /** Fresh nodes and own acceptors on the subnet that most of them share. */
  #reachable(cluster: ClusterId, attempt: Attempt): NetworkChoice | undefined {
    const { clock, neighbours, interfaces } = this.#context;
    const now = clock.now();
    const nodes = neighbours().filter((one) => {
      if (!isSeen(one, now)) return false;
      const standing = attempt.participants.get(one.peer)?.standing;
      const holds = standing === "accepted" || standing === "confirmed";
      return holds || isEligible(one) || one.greeting.claim?.cluster === cluster;
    });
    return choosePublicNetwork(interfaces(), nodes.map(reached));
  }

  #commit(state: Founding, acceptors: readonly PeerId[], choice: NetworkChoice | undefined): void {
    if (choice === undefined) return;
    const at = new Date(this.#context.clock.now()).toISOString();
    this.#attempt = null;
    this.#context.become(
      { state: "founded", key: state.key, name: state.name, acceptors, publicNetwork: choice.network, at },
      `${acceptors.length + 1} nodes agreed`,
    );
  }

  #claim(state: Founding, peer: PeerId): void {
    const request = founderClaim(state.key, state.name, this.#context.self, peer);
    this.#ask(state.key.id, peer, request, "accepted");
  }

  #confirm(cluster: ClusterId, peer: PeerId): void {
    this.#ask(cluster, peer, { v: lobbyVersion, kind: "confirm", cluster }, "confirmed");
  }

  #ask(cluster: ClusterId, peer: PeerId, request: LobbyRequest, standing: "accepted" | "confirmed"): void {
    const { clock, log } = this.#context;
    this.#update(cluster, (attempt) => withAsked(attempt, peer, clock.now()));
    this.#context.background(request.kind, async () => {
      try {
        const reply = claimReplySchema.parse(await this.#context.ask(peer, request));
        if ("ok" in reply) {
          this.#update(cluster, (attempt) => withAnswer(attempt, peer, { standing, sight: reply }));
        } else {
          log.debug({ peer, kind: request.kind, reply }, "a node refuses");
          this.#update(cluster, (attempt) => withAnswer(attempt, peer, { standing: "refused", sight: null }));
        }
      } catch (error) {
        log.debug({ peer, kind: request.kind, reason: messageOf(error) }, "no answer");
        this.#update(cluster, (attempt) => withAnswer(attempt, peer, null));
      }
      this.#context.wake();
    });
  }

  /** An answer that comes after its attempt is over changes nothing. */
  #update(cluster: ClusterId, change: (attempt: Attempt) => Attempt): void {
    if (this.#attempt?.cluster === cluster) this.#attempt = change(this.#attempt);
  }
}
