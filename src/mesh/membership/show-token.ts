import { isMicrocephError } from "../../errors/microceph-error.ts";
import type { ClusterId } from "../../ids/ids.ts";
import { verifyCertificate } from "../identity/certificate.ts";
import { greetingSchema, lobbyVersion, plainReplySchema } from "../lobby/messages.ts";
import type { LobbyAsker } from "./context.ts";
import { protocolTimes } from "./settings.ts";

export interface TokenShowing {
  readonly lobbies: readonly { readonly address: string; readonly port: number }[];
  readonly cluster: ClusterId;
  readonly secret: string;
  readonly signal: AbortSignal;
}

/**
 * Show the secret of a join token to members of its cluster, one lobby after the other: only to one that has proved
 * with its certificate, on a connection with the same key, that it is a member. `silent`: none answered.
 */
export async function showToken(
  lobby: LobbyAsker,
  { lobbies, cluster, secret, signal }: TokenShowing,
): Promise<"honoured" | "refused" | "silent"> {
  let outcome: "refused" | "silent" = "silent";
  for (const at of lobbies) {
    const call = { deadlineMs: protocolTimes.askMs, signal };
    try {
      const { peer, reply } = await lobby.ask(at, { v: lobbyVersion, kind: "hello" }, call);
      const greeting = greetingSchema.safeParse(reply);
      const certificate = greeting.success ? greeting.data.certificate : null;
      if (certificate === null || verifyCertificate(certificate, { cluster, peer }) === undefined) continue;
      const request = { v: lobbyVersion, kind: "token", cluster, secret };
      const answer = await lobby.ask({ ...at, expect: peer }, request, call);
      const said = plainReplySchema.safeParse(answer.reply);
      if (answer.peer === peer && said.success && "ok" in said.data) return "honoured";
      outcome = "refused";
    } catch (error) {
      if (signal.aborted) throw error;
      if (!isMicrocephError(error)) throw error;
    }
  }
  return outcome;
}
