import type { Handle } from "../../ids/ids.ts";
import type { DecisionNumber } from "../../state/journal/types.ts";
import { hasten } from "../daemons/build-pace.ts";
import type { DaemonDeps } from "../daemons/deps.ts";
import { prepareKeyedDaemon, removeKeyedDaemon, startKeyedDaemon } from "../daemons/keyed-daemon.ts";
import type { CountedDaemon } from "../plan/service-daemons.ts";
import { PlacedHere, type PlacedMemory } from "./placed-here.ts";

/** This node's manager, or metadata server: of several one is active, and the others stand by. */
export class NodeStandby {
  readonly #type: CountedDaemon;
  readonly #handle: Handle;
  readonly #deps: DaemonDeps;
  readonly #here: PlacedHere;

  constructor(type: CountedDaemon, handle: Handle, deps: DaemonDeps & { readonly memory: PlacedMemory }) {
    this.#type = type;
    this.#handle = handle;
    this.#deps = deps;
    this.#here = new PlacedHere(deps.memory, `ceph/${type}-decision`);
  }

  /** Let it run here. Idempotent. */
  place(order: {
    readonly key: string;
    readonly by: DecisionNumber;
    readonly confirm: () => Promise<void>;
  }): Promise<void> {
    return this.#here.inOrder(async () => {
      await order.confirm();
      this.#here.placed(order.by);
      await prepareKeyedDaemon(this.#deps, this.#type, { handle: this.#handle, key: order.key });
      await startKeyedDaemon(this.#deps, this.#type, this.#handle);
      if (this.#type === "mgr") await hasten(this.#deps.paths, "mgr", this.#handle);
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
