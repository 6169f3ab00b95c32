import { MicrocephError } from "../../errors/microceph-error.ts";
import type { Handle } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { DecisionNumber } from "../../state/journal/types.ts";
import type { DaemonDeps } from "../daemons/deps.ts";
import {
  checkIngressPrograms,
  ingressSettings,
  prepareIngress,
  removeIngress,
  startIngress,
  waitIngressServing,
} from "../daemons/ingress.ts";
import type { Backend, IngressSettings } from "../daemons/ingress-config.ts";
import { PlacedHere, type PlacedMemory } from "./placed-here.ts";

export interface IngressDeps extends DaemonDeps {
  readonly memory: PlacedMemory & { put(key: string, value: Json): void };
  /** Name of the interface that has an address in this network (CIDR); null when none has. */
  readonly interfaceIn: (network: string) => string | null;
}

/**
 * Common addresses that this node may have: one, or while it changes two. Kept apart from the files, because neither
 * must ever be taken for an address of this node.
 */
const addressesKey = "ceph/ingress-addresses";
const backendsKey = "ceph/ingress-backends";

/** Milliseconds that haproxy gets to listen. */
const servingMs = 30_000;

/** haproxy and keepalived of this node. */
export class NodeIngress {
  readonly #handle: Handle;
  readonly #deps: IngressDeps;
  readonly #here: PlacedHere;

  constructor(handle: Handle, deps: IngressDeps) {
    this.#handle = handle;
    this.#deps = deps;
    this.#here = new PlacedHere(deps.memory, "ceph/ingress-decision");
  }

  /**
   * Have it ready to take the address. Throws MISSING_PROGRAM, ADDRESS_UNAVAILABLE before anything is changed;
   * DEADLINE_EXCEEDED.
   */
  place(order: {
    readonly settings: IngressSettings;
    readonly backends: readonly Backend[];
    readonly by: DecisionNumber;
    readonly confirm: () => Promise<void>;
    readonly signal: AbortSignal;
  }): Promise<void> {
    return this.#here.inOrder(async () => {
      const { settings, backends, by, confirm, signal } = order;
      const deps = this.#deps;
      const { vip, prefix } = settings;
      await checkIngressPrograms(deps);
      const link = deps.interfaceIn(`${vip}/${prefix}`);
      if (link === null) {
        throw new MicrocephError(
          "ADDRESS_UNAVAILABLE",
          `${this.#handle} has no interface in the network of ${vip}/${prefix}`,
        );
      }
      await confirm();
      this.#here.placed(by);
      const before = [...sharedAddresses(deps.memory)].filter((address) => address !== vip);
      deps.memory.put(addressesKey, [...before, vip]);
      await prepareIngress(deps, this.#handle, { ...settings, interface: link });
      await this.#follow(backends);
      await waitIngressServing(deps, { deadlineMs: servingMs, signal });
      deps.memory.put(addressesKey, [vip]);
    });
  }

  /** Whether this node has one: most have none, and need not know the gateways. */
  get isHere(): boolean {
    return this.#here.isHere;
  }

  /** The gateways are these now. */
  follow(backends: readonly Backend[]): Promise<void> {
    return this.#here.inOrder(() => this.#follow(backends));
  }

  async #follow(backends: readonly Backend[]): Promise<void> {
    if ((await ingressSettings(this.#deps, this.#handle)) === null) return;
    this.#deps.memory.put(
      backendsKey,
      backends.map(({ panel, ...one }) => (panel === undefined ? one : { ...one, panel })),
    );
    await startIngress(this.#deps, this.#handle, backends);
  }

  /** Start it, or adopt it, at boot, before what was known last. */
  start(): Promise<void> {
    const kept = this.#deps.memory.get(backendsKey);
    return this.#here.inOrder(() =>
      startIngress(this.#deps, this.#handle, Array.isArray(kept) ? (kept as Backend[]) : []),
    );
  }

  /** It was taken off this node by that decision. @returns whether it was there */
  drop(by: DecisionNumber): Promise<boolean> {
    return this.#here.drop(by, async () => {
      await removeIngress(this.#deps, this.#handle);
      this.#deps.memory.delete(backendsKey);
      this.#deps.memory.delete(addressesKey);
    });
  }

  forget(): void {
    for (const key of [addressesKey, backendsKey]) this.#deps.memory.delete(key);
    this.#here.forget();
  }
}

/** Common addresses that this node may have besides its own. */
export function sharedAddresses(memory: { get(key: string): unknown }): ReadonlySet<string> {
  const kept = memory.get(addressesKey);
  return new Set(Array.isArray(kept) ? kept.filter((address) => typeof address === "string") : []);
}
