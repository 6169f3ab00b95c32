import { networkInterfaces } from "node:os";
import { z } from "zod";
import type { CallOptions, CephCommands } from "../command/commands.ts";

/** `client ls` of a metadata server, as far as it is used. */
const sessionsSchema = z.array(
  z.object({
    id: z.int(),
    /** `client.4305 v1:192.0.2.1:0/3398239` */
    inst: z.string().default(""),
    client_metadata: z.object({ entity_id: z.string().optional() }).optional(),
  }),
);

/**
 * End the sessions that a client on this host left at the metadata servers: ganesha keeps its own open when it stops, so
 * that it finds its locks again, and a metadata server that takes over waits for each of them for five minutes before
 * it serves. `user` is the client's name without "client."; on another host it may be in use again.
 */
export async function endSessions(ceph: CephCommands, user: string, call: CallOptions): Promise<void> {
  for (const name of (await ceph.mdsStat(call)).active) {
    const server = ["tell", `mds.${name}`, "client"];
    const sessions = sessionsSchema.parse(await ceph.run([...server, "ls"], call));
    for (const { id, inst, client_metadata } of sessions) {
      if (client_metadata?.entity_id === user && isOwn(inst))
        await ceph.run([...server, "evict", `id=${id}`], call);
    }
  }
}

/** Whether a client's address is one of this host. */
function isOwn(inst: string): boolean {
  const [, host = ""] = / (?:v[12]:|any:)?\[?([0-9a-fA-F.:]+?)\]?:\d+\/\d+$/.exec(inst) ?? [];
  return Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === host));
}
