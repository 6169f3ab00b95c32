import { networkInterfaces } from "node:os";
import { z } from "zod";
import type { CephCommands, MdsStat } from "../command/commands.ts";
import { type WaitOptions, waitUntil } from "../daemons/wait-until.ts";

/** `client ls` of a metadata server, as far as it is used. */
const sessionsSchema = z.array(
  z.object({
    id: z.int(),
    /** `client.4305 v1:192.0.2.1:0/3398239` */
    inst: z.string().default(""),
    client_metadata: z.object({ entity_id: z.string().optional() }).optional(),
  }),
);

const call = { deadlineMs: 10_000 };
const lookMs = 500;

/**
 * End the sessions that a client on this host left at the metadata servers: ganesha keeps its own open when it stops, so
 * that it finds its locks again, and a metadata server that takes over waits for each of them for five minutes before
 * it serves. One that is about to take over one of `fileSystems` is asked until it does. `user` is the client's name
 * without "client."; on another host it may be in use again. Throws DEADLINE_EXCEEDED.
 */
export async function endSessions(
  ceph: CephCommands,
  user: string,
  fileSystems: ReadonlySet<string>,
  wait: WaitOptions,
): Promise<void> {
  await waitUntil(
    `the sessions of client.${user} to end`,
    async () => {
      // One that is in the map may have ended a moment ago.
      const ended = async (): Promise<boolean> => {
        const stat = await ceph.mdsStat(call);
        for (const name of stat.active) await evict(ceph, name, user, isOwn);
        return isServed(stat, fileSystems);
      };
      return (await ended().catch(() => false)) || undefined;
    },
    { intervalMs: lookMs, ...wait },
  );
}

/**
 * Wait until metadata servers serve these file systems: ganesha's grace period begins when it starts, and it listens
 * only once it has mounted them. One that takes over is told meanwhile not to wait for the sessions of `user` that are
 * left of this host or, if `of` is "all", of any: who had them does not run, and what it had locked only its return can
 * tell. Throws DEADLINE_EXCEEDED, CANCELLED.
 */
export async function untilServed(
  commands: () => CephCommands | null,
  user: string,
  of: "own" | "all",
  fileSystems: () => Promise<ReadonlySet<string>>,
  wait: WaitOptions,
): Promise<void> {
  await waitUntil(
    "metadata servers to serve what is exported",
    async () => {
      const wanted = await fileSystems();
      if (wanted.size === 0) return true;
      const ceph = commands();
      const stat = await ceph?.mdsStat(call).catch(() => undefined);
      if (ceph === null || stat === undefined) return undefined;
      if (isServed(stat, wanted)) return true;
      for (const name of stat.waiting)
        await evict(ceph, name, user, of === "all" ? () => true : isOwn).catch(() => undefined);
      return undefined;
    },
    { intervalMs: lookMs, ...wait },
  );
}

function isServed({ unserved }: MdsStat, fileSystems: ReadonlySet<string>): boolean {
  return !unserved.some((name) => fileSystems.has(name));
}

/** End the sessions of a user at one metadata server. It has to be active, or about to take over. */
async function evict(
  ceph: CephCommands,
  name: string,
  user: string,
  isMeant: (inst: string) => boolean,
): Promise<void> {
  const server = ["tell", `mds.${name}`, "client"];
  const sessions = sessionsSchema.parse(await ceph.run([...server, "ls"], call));
  for (const { id, inst, client_metadata } of sessions) {
    if (client_metadata?.entity_id === user && isMeant(inst))
      await ceph.run([...server, "evict", `id=${id}`], call);
  }
}

/** Whether a client's address is one of this host. */
function isOwn(inst: string): boolean {
  const [, host = ""] = / (?:v[12]:|any:)?\[?([0-9a-fA-F.:]+?)\]?:\d+\/\d+$/.exec(inst) ?? [];
  return Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === host));
}
