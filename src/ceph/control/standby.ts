import type { Handle } from "../../ids/ids.ts";
import type { DecisionNumber } from "../../state/journal/types.ts";
import { checkMirrorSocket } from "../config/ceph-paths.ts";
import { hasten } from "../daemons/build-pace.ts";
import type { DaemonDeps } from "../daemons/deps.ts";
import {
  hasKeyedDaemon,
  prepareKeyedDaemon,
  removeKeyedDaemon,
  startKeyedDaemon,
} from "../daemons/keyed-daemon.ts";
import type { CountedDaemon } from "../plan/service-daemons.ts";
import { PlacedHere, type PlacedMemory } from "./placed-here.ts";

const programMs = 20_000;

type StandbyDaemon = CountedDaemon | "rbd-mirror" | "cephfs-mirror";

/** This node's manager, metadata server or mirror: of several one is active, or leads, and the others stand by. */
export class NodeStandby {
  readonly #type: StandbyDaemon;
  readonly #handle: Handle;
  readonly #deps: DaemonDeps;
  readonly #here: PlacedHere;

  constructor(type: StandbyDaemon, handle: Handle, deps: DaemonDeps & { readonly memory: PlacedMemory }) {
    this.#type = type;
    this.#handle = handle;
    this.#deps = deps;
    this.#here = new PlacedHere(deps.memory, `ceph/${type}-decision`);
  }

  /** Let it run here. Idempotent. Throws MISSING_PROGRAM, PATH_TOO_LONG before anything is changed. */
  place(order: {
    readonly key: string;
    readonly by: DecisionNumber;
    readonly confirm: () => Promise<void>;
  }): Promise<void> {
    return this.#here.inOrder(async () => {
      if (this.#type === "rbd-mirror" || this.#type === "cephfs-mirror") {
        checkMirrorSocket(this.#deps.paths, this.#type, this.#handle);
        // A package of its own: the others come with Ceph.
        await this.#deps.run(this.#type, ["--version"], { deadlineMs: programMs });
      }
      await order.confirm();
      this.#here.placed(order.by);
      await prepareKeyedDaemon(this.#deps, this.#type, { handle: this.#handle, key: order.key });
      await startKeyedDaemon(this.#deps, this.#type, this.#handle);
      if (this.#type === "mgr") await hasten(this.#deps.paths, "mgr", this.#handle);
    });
  }

  /** Start it, or adopt it, at boot, if it was placed here. */
  start(): Promise<void> {
    return this.#here.inOrder(async () => {
      if (!(await hasKeyedDaemon(this.#deps, this.#type, this.#handle))) return;
      await startKeyedDaemon(this.#deps, this.#type, this.#handle);
    });
  }

  /** It was taken off this node by that decision. @returns whether it was there */
  drop(by: DecisionNumber): Promise<boolean> {
    return this.#here.drop(by, () => removeKeyedDaemon(this.#deps, this.#type, this.#handle));
  }

  forget(): void {
    this.#here.forget();
  }
}
