import { rm } from "node:fs/promises";
import { type Duplex, duplexPair } from "node:stream";
import { z } from "zod";
import { kinds, rebuildBody } from "../../ceph/control/decisions.ts";
import { contributeMaps, type GatherMaps } from "../../ceph/control/rebuild.ts";
import { receiveStore, sayAlive, sendStore } from "../../ceph/control/store-parcel.ts";
import { isMicrocephError, MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import { entryId, osdId, type PeerId } from "../../ids/ids.ts";
import type { ClusterRuntime } from "./cluster-runtime.ts";

const service = "osd-maps";
/** Milliseconds until the journal here must have the decision; and between two signs of life. */
const knownMs = 15_000;
const aliveMs = 10_000;

const asked = z.object({ entry: z.string().transform((value) => entryId(value)) });
const given = z.discriminatedUnion("ok", [
  z.object({
    ok: z.literal(true),
    osds: z.array(
      z
        .int()
        .min(0)
        .transform((id) => osdId(id)),
    ),
    left: z.array(z.string().max(1000)).max(10_000),
  }),
  z.object({ ok: z.literal(false), code: z.string().max(64), message: z.string().max(2000) }),
]);

/** Have a host's OSDs put what they know into the store: it goes there and comes back. */
export function mapGatherer(runtime: ClusterRuntime): GatherMaps {
  return async (peer, entry, store, signal) => {
    if (peer === runtime.self) return contributeMaps(runtime.deps.cephNode, store, signal);
    const stream = await runtime.mesh.openTunnel(peer, service, signal);
    const end = (): void => void stream.destroy();
    signal.addEventListener("abort", end);
    try {
      await sendStore(stream, store, { entry });
      const reply = given.parse(await receiveStore(stream, store));
      if (reply.ok) return reply;
      const code = reply.code === "RECOVERY_REFUSED" ? reply.code : "PROGRAM_FAILED";
      throw new MicrocephError(code, reply.message);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof MicrocephError) throw error;
      throw new MicrocephError("PEER_UNREACHABLE", `${peer}: ${messageOf(error)}`, { cause: error });
    } finally {
      signal.removeEventListener("abort", end);
      stream.destroy();
    }
  };
}

/**
 * Serve the member that a decision lets rebuild the monitors: what this node's OSDs know, and their keys, goes to no
 * other. One at a time. @returns stops offering
 */
export function offerMaps(runtime: ClusterRuntime): () => void {
  const { mesh, deps } = runtime;
  let busy = false;
  return mesh.offerTunnel(service, (from) => {
    if (busy) throw new MicrocephError("RECOVERY_REFUSED", "another rebuild is being served");
    busy = true;
    const [ours, theirs] = duplexPair();
    serve(runtime, from, ours)
      .catch((error) => deps.log.warn({ from, error: messageOf(error) }, "maps of OSDs not given"))
      .finally(() => {
        busy = false;
        ours.destroy();
      });
    return theirs;
  });
}

async function serve(runtime: ClusterRuntime, from: PeerId, stream: Duplex): Promise<void> {
  const { cephNode } = runtime.deps;
  const store = cephNode.deps.paths.rebuild;
  const gone = new AbortController();
  stream.on("error", () => undefined);
  stream.once("close", () => gone.abort());
  const beat = setInterval(() => void sayAlive(stream).catch(() => undefined), aliveMs);
  try {
    const check = (note: unknown): Promise<void> =>
      mayAsk(runtime, from, asked.parse(note).entry, gone.signal);
    await receiveStore(stream, store, check);
    const { osds, left } = await contributeMaps(cephNode, store, gone.signal);
    clearInterval(beat);
    await sendStore(stream, store, { ok: true, osds: [...osds], left: [...left] });
  } catch (error) {
    clearInterval(beat);
    const code = isMicrocephError(error) ? error.code : "INTERNAL";
    const message = messageOf(error);
    await rm(store, { recursive: true, force: true });
    await sendStore(stream, store, { ok: false, code, message: message.slice(0, 2000) });
    throw error;
  } finally {
    clearInterval(beat);
    await rm(store, { recursive: true, force: true });
    await new Promise<void>((resolve) => stream.end(() => resolve()));
  }
}

/** Throws RECOVERY_REFUSED unless an open decision lets this member ask this node, which a voter confirms. */
async function mayAsk(
  runtime: ClusterRuntime,
  from: PeerId,
  id: ReturnType<typeof entryId>,
  signal: AbortSignal,
): Promise<void> {
  const end = performance.now() + knownMs;
  let entry = runtime.journal.entry(id);
  while (entry === undefined && performance.now() < end) {
    await runtime.deps.events.next(signal, 500);
    entry = runtime.journal.entry(id);
  }
  const body = entry?.kind === kinds.rebuild ? rebuildBody.parse(entry.body) : undefined;
  const isAsked = body?.hosts.some(({ peer }) => peer === runtime.self) ?? false;
  if (entry === undefined || body?.builder !== from || !isAsked) {
    throw new MicrocephError("RECOVERY_REFUSED", "no decision lets this member ask for maps of OSDs");
  }
  if (!(await runtime.confirm(entry, signal))) {
    throw new MicrocephError("RECOVERY_REFUSED", `decision ${id} is no longer open`);
  }
}
