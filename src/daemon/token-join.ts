import { z } from "zod";
import { isMicrocephError, MicrocephError } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";
import type { Daemon } from "./daemon.ts";
import type { JobTools } from "./jobs.ts";
import { lobbiesIn, readToken } from "./join-tokens.ts";
import type { StaticPeer } from "./static-peers.ts";

interface TokenJoin {
  readonly token: string;
  readonly availabilityZone?: string;
}

/** Addresses that this job has added: of those that an operator added it takes none away. */
const memorySchema = z.object({ added: z.array(z.object({ address: z.string(), port: z.int() })) });

/** Milliseconds for which a token that no member knows is shown again: what one member was told takes a moment. */
const unknownMs = 15_000;

/** Refuse at once what could not be. Throws USAGE, ALREADY_INITIALIZED. */
export function checkTokenJoin(daemon: Daemon, { token }: TokenJoin): void {
  readToken(token);
  const { state } = daemon.membership.lifecycle;
  if (state === "fresh" || state === "claimed" || state === "founding") return;
  throw new MicrocephError("ALREADY_INITIALIZED", "Unable to initialize cluster: Database is online");
}

/**
 * The job of `cluster join`: show the token to a member and wait to be claimed. It may be shown again by the same
 * node, so the job may be run again after a crash.
 */
export async function joinByToken(daemon: Daemon, request: Json, tools: JobTools): Promise<Json> {
  await daemon.settled();
  const { token, availabilityZone } = request as unknown as TokenJoin;
  const content = readToken(token);
  const { membership, staticPeers } = daemon;
  const lobbies = lobbiesIn(content, daemon.settings.lobbyPort);
  const isKnown = ({ address, port }: StaticPeer): boolean =>
    staticPeers.list().some((peer) => peer.address === address && peer.port === port);
  const { added } = memorySchema.safeParse(tools.memory).data ?? {
    added: lobbies.filter((peer) => !isKnown(peer)),
  };
  const forget = (): void => {
    for (const peer of added) staticPeers.remove(peer);
    membership.refreshStaticPeers();
  };
  if (membership.lifecycle.state !== "member") {
    tools.remember({ added });
    // Until it is a member, where no multicast goes.
    for (const peer of added) staticPeers.add(peer);
    membership.refreshStaticPeers();
    membership.join(content.cluster);
    try {
      await shown(daemon, content, lobbies, tools);
    } catch (error) {
      // It is as if nobody had asked: neither bound to that cluster nor looking for it.
      if (isMicrocephError(error, "TOKEN_REFUSED")) {
        forget();
        membership.joinAny();
      }
      throw error;
    }
  }
  for (;;) {
    const { lifecycle } = membership;
    if (lifecycle.state === "member" && daemon.cluster !== null) break;
    tools.report(60, "a member takes this node in");
    await daemon.events.next(tools.signal, 1_000);
  }
  forget();
  const { cluster } = daemon;
  if (cluster === null) throw new MicrocephError("INTERNAL", "the member did not start");
  if (cluster.options.cluster.id !== content.cluster) {
    throw new MicrocephError("ALREADY_INITIALIZED", "this node has joined another cluster meanwhile");
  }
  if (availabilityZone !== undefined) {
    cluster.document.setLabels(daemon.identity.peerId, { zone: availabilityZone });
  }
  return { cluster: content.cluster, name: content.name };
}

/** Until a member honours it. Throws TOKEN_REFUSED. */
async function shown(
  daemon: Daemon,
  { cluster, secret }: ReturnType<typeof readToken>,
  lobbies: readonly { readonly address: string; readonly port: number }[],
  tools: JobTools,
): Promise<void> {
  let refusedSince: number | null = null;
  for (;;) {
    const outcome = await daemon.membership.showToken({ lobbies, cluster, secret, signal: tools.signal });
    if (outcome === "honoured") return;
    const now = daemon.steadyNow();
    if (outcome === "refused") {
      refusedSince ??= now;
      if (now - refusedSince >= unknownMs) {
        throw new MicrocephError("TOKEN_REFUSED", "the cluster does not honour this token (any more)");
      }
      tools.report(20, "the token is not known there yet");
    } else {
      refusedSince = null;
      tools.report(10, `no member answers at ${lobbies.map(({ address }) => address).join(", ")}`);
    }
    await daemon.events.next(tools.signal, 1_000);
  }
}
