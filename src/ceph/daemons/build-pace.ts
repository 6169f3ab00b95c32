import { z } from "zod";
import { isMicrocephError } from "../../errors/microceph-error.ts";
import type { Json } from "../../ids/json.ts";
import { askAdminSocket } from "../command/admin-socket.ts";
import { joiningProbeSeconds } from "../config/ceph-conf.ts";
import type { CephPaths } from "../config/ceph-paths.ts";
import { type WaitOptions, waitUntil } from "./wait-until.ts";

type Paced = "mon" | "mgr" | "osd";

/**
 * Timers that are right only while a cluster is being built, when every change of a map is waited for: Ceph's
 * defaults gather changes for a second, look around every five, and wait five in an election for a monitor that does
 * not know yet that it was let in. An OSD that starts closes its devices some ten times, and each time waits for the
 * next look at what they have done; monitors that elect turn it away, and so does a manager that does not know it yet.
 * They are set over a daemon's admin socket, in the layer that nothing stores, so the daemon's next start forgets them,
 * too (Ceph doc: ceph daemon config set).
 */
const buildTimers: Readonly<Record<Paced, Readonly<Record<string, string>>>> = {
  mon: {
    paxos_propose_interval: "0.02",
    paxos_min_wait: "0.02",
    mon_tick_interval: "1",
    mon_election_timeout: "0.25",
  },
  mgr: { mgr_tick_period: "1", mgr_stats_period: "1" },
  osd: {
    bdev_aio_poll_ms: "2",
    ms_initial_backoff: "0.02",
    ms_max_backoff: "0.1",
    mgr_connect_retry_interval: "0.1",
  },
};

/** Let a daemon that was just started keep up with the building. False while it does not answer. */
export function hasten(paths: Pick<CephPaths, "adminSocket">, type: Paced, id: string): Promise<boolean> {
  return tell(paths, type, id, (name, value) => ({ prefix: "config set", var: name, val: [value] }));
}

/** As `hasten`, as soon as a daemon that is starting listens. One that does not is for others to notice. */
export async function hastenOnceUp(
  paths: Pick<CephPaths, "adminSocket">,
  type: Paced,
  id: string,
  options: WaitOptions,
): Promise<void> {
  try {
    const look = async (): Promise<true | undefined> => (await hasten(paths, type, id)) || undefined;
    await waitUntil(`${type}.${id} listening`, look, options);
  } catch (error) {
    if (!isMicrocephError(error, "DEADLINE_EXCEEDED")) throw error;
  }
}

/** Give a daemon its usual timers back. Idempotent. False when it does not answer: it has no others then. */
export async function slowDown(
  paths: Pick<CephPaths, "adminSocket">,
  type: Paced,
  id: string,
): Promise<boolean> {
  const told = await tell(paths, type, id, (name) => ({ prefix: "config unset", var: name }));
  if (told && type === "mon") await probeAsUsual(paths.adminSocket("mon", id));
  return told;
}

/** A monitor that joined has read in its ceph.conf to ask often: there is nothing to unset. */
async function probeAsUsual(socket: string): Promise<void> {
  const name = "mon_probe_timeout";
  const said = probeTimeout.safeParse(await askAdminSocket(socket, { prefix: "config get", var: name })).data;
  if (said?.[name] !== Number(joiningProbeSeconds)) return;
  await askAdminSocket(socket, { prefix: "config set", var: name, val: [usualProbeSeconds] });
}

const probeTimeout = z.object({ mon_probe_timeout: z.coerce.number() });
/** Ceph's default. */
const usualProbeSeconds = "2";

async function tell(
  paths: Pick<CephPaths, "adminSocket">,
  type: Paced,
  id: string,
  request: (name: string, value: string) => Record<string, Json> & { readonly prefix: string },
): Promise<boolean> {
  try {
    for (const [name, value] of Object.entries(buildTimers[type])) {
      await askAdminSocket(paths.adminSocket(type, id), request(name, value));
    }
    return true;
  } catch (error) {
    if (isMicrocephError(error, "CEPH_DAEMON_DOWN") || isMicrocephError(error, "DEADLINE_EXCEEDED")) {
      return false;
    }
    throw error;
  }
}

export interface BuildPaceDeps {
  /** Milliseconds without a decision about Ceph after which it counts as built. */
  readonly quietMs: number;
  /** Give the daemons of this node their usual timers back. */
  readonly slowDown: () => Promise<unknown>;
  readonly onError: (error: unknown) => void;
}

/**
 * Knows when the building is over: no decision for a while. It holds from the daemon's start on, so that what a
 * run hastened that was killed is put back by the next one.
 */
export class BuildPace {
  readonly #deps: BuildPaceDeps;
  #timer: NodeJS.Timeout | undefined;
  #seen = -1;
  #isOver = false;

  constructor(deps: BuildPaceDeps) {
    this.#deps = deps;
  }

  /** Whether there was no decision for so long. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Told of every change of the journal, with the number of decisions in it. */
  look(decisions: number): void {
    if (decisions === this.#seen) return;
    this.#seen = decisions;
    this.#isOver = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#isOver = true;
      this.#deps.slowDown().catch(this.#deps.onError);
    }, this.#deps.quietMs);
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
