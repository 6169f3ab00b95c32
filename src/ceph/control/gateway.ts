import type { Handle } from "../../ids/ids.ts";
import type { DecisionNumber } from "../../state/journal/types.ts";
import type { DaemonDeps } from "../daemons/deps.ts";
import {
  forgetOtherCertificates,
  type GatewaySettings,
  portsOf,
  prepareRgw,
  removeRgw,
  rgwSettings,
  runsRgw,
  startRgw,
  waitRgwServing,
} from "../daemons/rgw.ts";
import type { CertificatePair } from "./decisions.ts";
import { assertPortFreeOn } from "./free-port-of.ts";
import { settingsOf } from "./placed-daemons.ts";
import { PlacedHere, type PlacedMemory } from "./placed-here.ts";

/** The first gateway of a cluster makes its pools before it listens; on a slow machine that takes its time. */
const servingMs = 120_000;

/** This node's S3 gateway. */
export class NodeGateway {
  readonly #handle: Handle;
  readonly #deps: DaemonDeps;
  readonly #here: PlacedHere;

  constructor(handle: Handle, deps: DaemonDeps & { readonly memory: PlacedMemory }) {
    this.#handle = handle;
    this.#deps = deps;
    this.#here = new PlacedHere(deps.memory, "ceph/rgw-decision");
  }

  /** Make it serve at this port. Throws PORT_IN_USE before anything is changed, DEADLINE_EXCEEDED. */
  place(order: {
    readonly key: string;
    readonly settings: GatewaySettings;
    /** Certificate and key, where it speaks TLS. */
    readonly pair: CertificatePair | undefined;
    readonly by: DecisionNumber;
    readonly confirm: () => Promise<void>;
    readonly signal: AbortSignal;
  }): Promise<void> {
    return this.#here.inOrder(async () => {
      const { key, settings, pair, by, confirm, signal } = order;
      const deps = this.#deps;
      const handle = this.#handle;
      const before = await rgwSettings(deps, handle);
      const own = before !== null && (await runsRgw(deps, handle)) ? portsOf(before) : [];
      for (const port of portsOf(settings).filter((one) => !own.includes(one))) {
        await assertPortFreeOn(handle, port);
      }
      await confirm();
      this.#here.placed(by);
      await prepareRgw(deps, { handle, key, settings, pair });
      await startRgw(deps, handle);
      await waitRgwServing(deps, handle, { deadlineMs: servingMs, signal });
      await forgetOtherCertificates(deps, handle, settings);
    });
  }

  /** Take back a placing that does not work out; one that serves already has taken effect. */
  undo(asked: GatewaySettings): Promise<boolean> {
    return this.#here.inOrder(async () => {
      const kept = await rgwSettings(this.#deps, this.#handle);
      if (kept === null || settingsOf(kept) !== settingsOf(asked)) return true;
      if (await runsRgw(this.#deps, this.#handle)) return false;
      await removeRgw(this.#deps, this.#handle);
      this.#here.forget();
      return true;
    });
  }

  /** It was taken off this node by that decision. @returns whether it was there */
  drop(by: DecisionNumber): Promise<boolean> {
    return this.#here.drop(by, () => removeRgw(this.#deps, this.#handle));
  }

  /** Start it, or adopt it, at boot. */
  start(): Promise<void> {
    return this.#here.inOrder(() => startRgw(this.#deps, this.#handle));
  }

  forget(): void {
    this.#here.forget();
  }
}
