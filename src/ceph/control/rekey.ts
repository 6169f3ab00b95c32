import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { MicrocephError } from "../../errors/microceph-error.ts";
import { writeFileAtomic } from "../../files/atomic-file.ts";
import type { PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { Entry } from "../../state/journal/types.ts";
import type { CephCommands } from "../command/commands.ts";
import { isRefusal, isUnanswered } from "../command/words.ts";
import { adminCapabilities, keyOf, monCapabilities, renderKeyring } from "../config/keyring.ts";
import { unitName } from "../daemons/deps.ts";
import { storeFsid } from "../daemons/mon.ts";
import type { Step } from "./agent.ts";
import type { CephNode } from "./ceph-node.ts";
import type { Executor } from "./controller.ts";
import { type CephAccess, kinds, rekeyBody, rekeyPayload } from "./decisions.ts";
import { because, done } from "./done.ts";
import type { CephSecrets, ExecutorDeps } from "./executors.ts";
import { handOver } from "./hand-over.ts";

const importMs = 15_000;
const electionMs = 60_000;

type RekeyDeps = Pick<
  ExecutorDeps,
  "access" | "order" | "restamp" | "current" | "handed" | "adopt" | "secrets"
> & {
  readonly ceph: () => CephCommands;
  /** What is to come after the present secrets: made once for each decision. */
  readonly nextSecrets: (entry: Entry) => Promise<CephSecrets>;
  /** Fenced by the lease. */
  readonly keepSecrets: (secrets: CephSecrets) => Promise<void>;
  /** Members that are alive, by handle. */
  readonly alive: () => ReadonlyMap<string, PeerId>;
};

/**
 * `client.admin` and `mon.` get other keys, because somebody who left knows them. First Ceph takes the administrator's,
 * then it is what members are told, then every monitor's host has the monitors' own and restarts its monitor: they are
 * one after the other no quorum with mixed keys, so all do it at once. Run again it goes on where it was. A monitor
 * whose host is away does not get in again; it is made anew after the grace time.
 */
export function rekeyExecutor(deps: RekeyDeps): Executor {
  return async (entry, signal) => {
    const { handle } = rekeyBody.parse(entry.body);
    const next = await deps.nextSecrets(entry);
    const before = await deps.secrets();
    const access = await deps.access(signal);
    if (before.adminKey !== next.adminKey) {
      await changeAdminKey(deps, access, next.adminKey, signal);
      await deps.keepSecrets({ ...before, adminKey: next.adminKey });
    }
    const after = { ...access, adminKey: next.adminKey };
    await deps.adopt(after);
    await deps.keepSecrets(next);
    const { monMap } = await deps.ceph().quorumStatus({ deadlineMs: electionMs, signal });
    const alive = deps.alive();
    const hosts = monMap.monitors.flatMap(({ name }) => alive.get(name) ?? []);
    const payload = { access: after, monKey: next.monKey } as unknown as Json;
    await deps.handed(entry.id);
    const given = await Promise.allSettled(hosts.map((peer) => handOver(deps, entry, peer, payload, signal)));
    const failed = given.find((each) => each.status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
    const { quorum } = await deps.ceph().quorumStatus({ deadlineMs: electionMs, signal });
    if (quorum.length * 2 <= monMap.monitors.length) {
      throw new MicrocephError("NO_QUORUM", "the monitors have not met with their new key yet");
    }
    return done(because(`client.admin and mon. have other keys than ${handle} knew`, entry));
  };
}

/** By the present key; where that opens nothing any more an earlier run has come as far, and the new one does. */
async function changeAdminKey(
  deps: RekeyDeps,
  access: CephAccess,
  key: string,
  signal: AbortSignal,
): Promise<void> {
  const keyring = renderKeyring([{ entity: "client.admin", key, capabilities: adminCapabilities }]);
  const call = { deadlineMs: importMs, signal };
  try {
    await deps.ceph().runWithInput(["auth", "import"], keyring, call);
  } catch (error) {
    if (!isUnanswered(error) && !isRefusal(error, "EACCES")) throw error;
    await deps.adopt({ ...access, adminKey: key });
    try {
      await deps.ceph().run(["auth", "get", "client.admin"], call);
    } catch (second) {
      await deps.adopt(access);
      throw second;
    }
  }
}

/** What a monitor's host does: the new key beside its store, and its monitor started with it. */
export function rekeyStep(node: CephNode): Step {
  const { deps, handle } = node;
  return (order, { confirm }) =>
    node.inOrder(async () => {
      const { access, monKey } = rekeyPayload.parse(order.payload);
      await node.configure(access);
      node.commands?.reconnect();
      if (node.monAddress() === null || (await storeFsid(deps, handle)) === undefined) return null;
      const path = join(deps.paths.dataDir("mon", handle), "keyring");
      const text = await readFile(path, "utf8").catch(() => "");
      await confirm();
      if (keyOf(text, "mon.") !== monKey) {
        await writeFileAtomic(
          path,
          renderKeyring([{ entity: "mon.", key: monKey, capabilities: monCapabilities }]),
        );
      }
      // Also where the key is there already: the daemon may have been killed before this.
      await deps.runner.restart(unitName("mon", handle));
      return null;
    });
}

/** The wish that keys are replaced because of a member that left, as a setting: its handle in the name. */
export const revokePrefix = "revoke.";

const rekeyed = z.object({ peer: z.string() });

/** Whose leaving has been followed by other keys, done or open. */
export function rekeyedFor(entries: readonly Entry[], state: "done" | "open"): ReadonlySet<string> {
  return new Set(
    entries.flatMap((entry) =>
      entry.kind === kinds.rekey && entry.state === state ? [rekeyed.parse(entry.body).peer] : [],
    ),
  );
}

/** The last decision that replaced keys and is done; null before the first. */
export function lastRekey(entries: readonly Entry[]): string | null {
  return entries.findLast(({ kind, state }) => kind === kinds.rekey && state === "done")?.id ?? null;
}
