import { messageOf } from "../../errors/microceph-error.ts";
import type { PeerId } from "../../ids/ids.ts";
import { verifyCertificate, verifyTombstone } from "../identity/certificate.ts";
import { introduceReplySchema, lobbyVersion } from "../lobby/messages.ts";
import type { Context, Role } from "./context.ts";
import type { Member } from "./lifecycle.ts";
import { isSeen } from "./neighbours.ts";

/** Pause between two introductions to the same fellow member while the mesh has no connection with it. */
const introduceMs = 30_000;
/** Fellows that it introduces itself to at once. */
const introducedAtOnce = 4;

/** A member: introduces itself to fellow members that the mesh is not connected with, and learns of its removal. */
export class MemberRole implements Role {
  readonly #context: Context;
  readonly #introducedAt = new Map<PeerId, number>();
  readonly #inFlight = new Set<PeerId>();

  constructor(context: Context) {
    this.#context = context;
  }

  step(): number | null {
    const state = this.#context.record.current;
    const view = this.#context.memberView();
    if (state.state !== "member" || view === null) return null;
    const now = this.#context.clock.now();
    let wakeAt: number | null = null;
    for (const one of this.#context.neighbours()) {
      if (one.certificate?.cluster !== state.certificate.cluster || !isSeen(one, now)) continue;
      if (view.connected(one.peer)) {
        // Should the connection end, it is asked at once why: we may have been removed.
        this.#introducedAt.delete(one.peer);
        continue;
      }
      if (this.#inFlight.has(one.peer)) continue;
      const due = (this.#introducedAt.get(one.peer) ?? Number.NEGATIVE_INFINITY) + introduceMs;
      if (now >= due && this.#inFlight.size < introducedAtOnce)
        this.#introduce(state, one.peer, view.meshPort);
      else wakeAt = Math.min(wakeAt ?? Number.POSITIVE_INFINITY, Math.max(due, now + 1_000));
    }
    return wakeAt;
  }

  waitingFor(): string | null {
    return null;
  }

  #introduce(state: Member, peer: PeerId, meshPort: number | null): void {
    const { clock, log, self } = this.#context;
    this.#introducedAt.set(peer, clock.now());
    this.#inFlight.add(peer);
    this.#context.background("introduction", async () => {
      try {
        const reply = introduceReplySchema.parse(
          await this.#context.ask(peer, {
            v: lobbyVersion,
            kind: "introduce",
            certificate: { ...state.certificate },
            meshPort,
          }),
        );
        const { cluster } = state.certificate;
        if ("tombstone" in reply) {
          const tombstone = verifyTombstone(reply.tombstone, { cluster, peer: self });
          if (tombstone !== undefined && isLater(tombstone, state.certificate)) this.#bury(tombstone);
        } else if ("ok" in reply) {
          const certificate = verifyCertificate(reply.certificate, { cluster, peer });
          const address = this.#context.neighbour(peer)?.address;
          if (certificate && address) {
            this.#context.hooks().onFellow({ certificate, address, meshPort: reply.meshPort });
          }
        }
      } catch (error) {
        log.debug({ peer, reason: messageOf(error) }, "introduction failed");
      } finally {
        this.#inFlight.delete(peer);
      }
      this.#context.wake();
    });
  }

  #bury(tombstone: NonNullable<ReturnType<typeof verifyTombstone>>): void {
    if (this.#context.record.current.state !== "member") return;
    this.#context.become({ state: "removed", tombstone }, "a member shows its tombstone");
  }
}

interface Numbered {
  readonly generation: number;
  readonly decision: number;
}

export function isLater(a: Numbered, b: Numbered): boolean {
  return a.generation > b.generation || (a.generation === b.generation && a.decision > b.decision);
}
