import { z } from "zod";
import type { askAdminSocket } from "../ceph/command/admin-socket.ts";
import { messageOf } from "../errors/microceph-error.ts";

export interface CephPulseDeps {
  /** Socket of this node's monitor; null while it has none. */
  readonly monSocket: () => string | null;
  readonly ask: typeof askAdminSocket;
  /** Something that Ceph's maps tell has changed. */
  readonly onBeat: () => void;
}

/** Milliseconds between two looks; each takes this node's monitor a fraction of a millisecond. */
const periodMs = 1_000;

/** What the leader of the monitors counts; numbers that grow by themselves are left out. */
const clusterSchema = z.object({
  cluster: z.object({
    num_mon: z.int(),
    num_mon_quorum: z.int(),
    num_osd: z.int(),
    num_osd_up: z.int(),
    num_osd_in: z.int(),
    osd_epoch: z.int(),
    num_pool: z.int(),
    num_pg: z.int(),
    num_pg_active_clean: z.int(),
    num_object_degraded: z.int(),
    num_object_unfound: z.int(),
  }),
});
const monitorSchema = z.object({
  state: z.string(),
  election_epoch: z.int(),
  quorum: z.array(z.int()),
  monmap: z.object({ epoch: z.int() }),
});

/**
 * Ceph offers no event that costs less than a client of its own (`ceph -w`: 43 MB), so this is the one thing
 * that is polled: the admin socket of this node's monitor, which leads to a real look only when it differs.
 */
export class CephPulse {
  readonly #deps: CephPulseDeps;
  #timer: NodeJS.Timeout | undefined;
  #last: string | null = null;
  #looking: Promise<void> | null = null;
  #stop = new AbortController();

  constructor(deps: CephPulseDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#stop = new AbortController();
    this.#timer = setInterval(() => this.#look(), periodMs);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort();
    await this.#looking;
  }

  #look(): void {
    const socket = this.#deps.monSocket();
    if (socket === null) return;
    this.#looking ??= this.#feel(socket)
      .then((now) => {
        const before = this.#last;
        this.#last = now;
        if (before !== now) this.#deps.onBeat();
      })
      .finally(() => {
        this.#looking = null;
      });
  }

  async #feel(socket: string): Promise<string> {
    const options = { deadlineMs: periodMs, signal: this.#stop.signal };
    try {
      const counts = await this.#deps.ask(socket, { prefix: "perf dump", logger: "cluster" }, options);
      const leader = clusterSchema.safeParse(counts);
      if (leader.success) return pulseOf(leader.data.cluster);
      const status = monitorSchema.parse(await this.#deps.ask(socket, { prefix: "mon_status" }, options));
      return JSON.stringify(status);
    } catch (error) {
      return `no answer: ${messageOf(error).slice(0, 40)}`;
    }
  }
}

/** While data moves its numbers change all the time; that it moves is what matters. */
function pulseOf(counts: z.infer<typeof clusterSchema>["cluster"]): string {
  const { num_pg, num_pg_active_clean, num_object_degraded, num_object_unfound, ...maps } = counts;
  return JSON.stringify({
    ...maps,
    clean: num_pg === num_pg_active_clean,
    degraded: num_object_degraded > 0,
    unfound: num_object_unfound > 0,
  });
}
