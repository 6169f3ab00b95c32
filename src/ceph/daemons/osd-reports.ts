import { isMicrocephError } from "../../errors/microceph-error.ts";
import type { OsdId } from "../../ids/ids.ts";
import { askAdminSocket } from "../command/admin-socket.ts";
import type { CephPaths } from "../config/ceph-paths.ts";

/** Milliseconds between two requests to report. */
const periodMs = 250;
/** Requests after a change of the OSD map: placement groups have settled by then, or take longer anyway. */
const requests = 6;

export interface OsdReportsDeps {
  readonly paths: () => Pick<CephPaths, "adminSocket">;
  /** Those of this node. */
  readonly osds: () => Promise<readonly OsdId[]>;
  readonly onError: (error: unknown) => void;
}

/**
 * Has the OSDs of this node report their placement groups for a while after each change of the OSD map
 * (flush_pg_stats). By themselves they report once a second at most, and while a cluster is built each step waits for
 * what the manager knows.
 */
export class OsdReports {
  readonly #deps: OsdReportsDeps;
  #epoch: number | null = null;
  #left = 0;
  #timer: NodeJS.Timeout | undefined;
  #asking: Promise<void> | null = null;

  constructor(deps: OsdReportsDeps) {
    this.#deps = deps;
  }

  /** Told of each epoch of the OSD map that is seen while a cluster is built. */
  mapSeen(epoch: number): void {
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    this.#left = requests;
    this.#timer ??= setInterval(() => this.#next(), periodMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #next(): void {
    this.#left -= 1;
    if (this.#left === 0) this.stop();
    this.#asking ??= this.#ask()
      .catch(this.#deps.onError)
      .finally(() => {
        this.#asking = null;
      });
  }

  async #ask(): Promise<void> {
    const { osds, paths } = this.#deps;
    for (const osd of await osds()) {
      try {
        const socket = paths().adminSocket("osd", osd);
        await askAdminSocket(socket, { prefix: "flush_pg_stats" }, { deadlineMs: periodMs });
      } catch (error) {
        // One that is down, or starts, has nothing to report.
        if (!isMicrocephError(error)) throw error;
      }
    }
  }
}
