import { MicrocephError } from "../../errors/microceph-error.ts";
import type { Handle } from "../../ids/ids.ts";
import { assertPortFree } from "../../process/free-port.ts";
import type { DecisionNumber } from "../../state/journal/types.ts";
import type { DaemonDeps } from "../daemons/deps.ts";
import {
  type GatewaySettings,
  prepareRgw,
  removeRgw,
  rgwSettings,
  runsRgw,
  startRgw,
  waitRgwServing,
} from "../daemons/rgw.ts";
import { decisionNumber, isLater } from "./numbers.ts";

/** The first gateway of a cluster makes its pools before it listens; on a slow machine that takes its time. */
const servingMs = 120_000;
const decisionKey = "ceph/rgw-decision";

export interface GatewayMemory {
  get(key: string): unknown;
  put(key: string, value: { readonly generation: number; readonly revision: number }): void;
  delete(key: string): void;
}

/** Why a gateway could not be placed: in the journal, too. */
export function portTaken(handle: Handle, port: number): string {
  return `another program on ${handle} listens on port ${port}`;
}

/** This node's S3 gateway: one change at a time, and none for a decision that a later one has overtaken. */
export class NodeGateway {
  readonly #handle: Handle;
  readonly #deps: DaemonDeps & { readonly memory: GatewayMemory };
  #work: Promise<unknown> = Promise.resolve();

  constructor(handle: Handle, deps: DaemonDeps & { readonly memory: GatewayMemory }) {
    this.#handle = handle;
    this.#deps = deps;
  }

  /** Make it serve at this port. Throws PORT_IN_USE before anything is changed, DEADLINE_EXCEEDED. */
  place(order: {
    readonly key: string;
    readonly settings: GatewaySettings;
    readonly by: DecisionNumber;
    readonly confirm: () => Promise<void>;
    readonly signal: AbortSignal;
  }): Promise<void> {
    return this.#inOrder(async () => {
      const { key, settings, by, confirm, signal } = order;
      const deps = this.#deps;
      const handle = this.#handle;
      const before = await rgwSettings(deps, handle);
      if (before?.port !== settings.port || !(await runsRgw(deps, handle))) {
        await assertPortFree(settings.port).catch((error: unknown) => {
          throw new MicrocephError("PORT_IN_USE", portTaken(handle, settings.port), {
            cause: error,
            data: { node: handle, port: settings.port },
          });
        });
      }
      await confirm();
      deps.memory.put(decisionKey, { ...by });
      await prepareRgw(deps, { handle, key, settings });
      await startRgw(deps, handle);
      await waitRgwServing(deps, handle, { deadlineMs: servingMs, signal });
    });
  }

  /** Take back a placing that does not work out; one that serves already has taken effect. */
  undo({ port }: { readonly port: number }): Promise<boolean> {
    return this.#inOrder(async () => {
      if ((await rgwSettings(this.#deps, this.#handle))?.port !== port) return true;
      if (await runsRgw(this.#deps, this.#handle)) return false;
      await this.#remove();
      return true;
    });
  }

  /** It was taken off this node by that decision, unless a later one has placed it again. @returns whether it was there */
  drop(by: DecisionNumber): Promise<boolean> {
    return this.#inOrder(async () => {
      const placed = decisionNumber.safeParse(this.#deps.memory.get(decisionKey)).data;
      // An order may be obeyed before this node's copy of the journal has it.
      if (placed === undefined || isLater(placed, by)) return false;
      await this.#remove();
      return true;
    });
  }

  /** Start it, or adopt it, at boot. */
  start(): Promise<void> {
    return this.#inOrder(() => startRgw(this.#deps, this.#handle));
  }

  /** Nothing of it is here any more. */
  forget(): void {
    this.#deps.memory.delete(decisionKey);
  }

  async #remove(): Promise<void> {
    await removeRgw(this.#deps, this.#handle);
    this.forget();
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => undefined);
    return done;
  }
}
