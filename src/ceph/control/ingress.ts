import { isMicrocephError, MicrocephError } from "../../errors/microceph-error.ts";
import type { Handle } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { DecisionNumber } from "../../state/journal/types.ts";
import type { CephCommands } from "../command/commands.ts";
import type { DaemonDeps } from "../daemons/deps.ts";
import {
  checkIngressPrograms,
  forgetOtherIngressCertificates,
  ingressCertificate,
  ingressSettings,
  keepIngressCertificate,
  prepareIngress,
  removeIngress,
  startIngress,
  waitIngressServing,
} from "../daemons/ingress.ts";
import type { Backend, Front, IngressSettings } from "../daemons/ingress-config.ts";
import { readCertificate } from "./certificates.ts";
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
const ranksKey = "ceph/ingress-ranks";
const s3Key = "ceph/ingress-s3";
const certificateKey = "ceph/ingress-certificate";

const keys = [addressesKey, backendsKey, s3Key, ranksKey, certificateKey];

/** Milliseconds for a question to the monitors' key store. */
const secretMs = 20_000;
/** Milliseconds that haproxy gets to listen. */
const servingMs = 30_000;

/** haproxy and keepalived of this node. */
export class NodeIngress {
  readonly #handle: Handle;
  readonly #deps: IngressDeps;
  readonly #here: PlacedHere;
  readonly #commands: () => CephCommands | null;

  constructor(handle: Handle, deps: IngressDeps, commands: () => CephCommands | null) {
    this.#handle = handle;
    this.#deps = deps;
    this.#commands = commands;
    this.#here = new PlacedHere(deps.memory, "ceph/ingress-decision");
  }

  /**
   * Have it ready to take the address. Throws MISSING_PROGRAM, ADDRESS_UNAVAILABLE before anything is changed;
   * DEADLINE_EXCEEDED.
   */
  place(order: {
    readonly settings: IngressSettings;
    readonly front: Front;
    readonly by: DecisionNumber;
    readonly confirm: () => Promise<void>;
    readonly signal: AbortSignal;
  }): Promise<void> {
    return this.#here.inOrder(async () => {
      const { settings, front, by, confirm, signal } = order;
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
      await this.#follow(front);
      await waitIngressServing(deps, { deadlineMs: servingMs, signal });
      deps.memory.put(addressesKey, [vip]);
    });
  }

  /** Whether this node has one: most have none, and need not know the gateways. */
  get isHere(): boolean {
    return this.#here.isHere;
  }

  /** The gateways, and the certificate that they show, are these now. Throws what the monitors say of the latter. */
  follow(front: Front): Promise<void> {
    return this.#here.inOrder(() => this.#follow(front));
  }

  async #follow({ backends, s3, ranks, certificate }: Front): Promise<void> {
    const deps = this.#deps;
    if ((await ingressSettings(deps, this.#handle)) === null) return;
    deps.memory.put(
      backendsKey,
      backends.map(({ panel, rank, ...one }) => ({
        ...one,
        ...(panel === undefined ? {} : { panel }),
        ...(rank === undefined ? {} : { rank }),
      })),
    );
    deps.memory.put(s3Key, s3);
    deps.memory.put(ranksKey, [...ranks]);
    deps.memory.put(certificateKey, certificate);
    let path: string | null = null;
    try {
      path = certificate === null ? null : await this.#kept(certificate);
    } finally {
      // Without it TLS goes on to the gateways as it is: better than nothing.
      await startIngress(deps, this.#handle, { backends, s3, ranks, certificate: path });
    }
    await forgetOtherIngressCertificates(deps, this.#handle, certificate);
  }

  /** Path of that certificate; null when nobody has it, or haproxy does not take it. */
  async #kept(digest: string): Promise<string | null> {
    const here = await ingressCertificate(this.#deps, this.#handle, digest);
    if (here !== null) return here;
    const commands = this.#commands();
    if (commands === null) return null;
    const pair = await readCertificate(commands, digest, { deadlineMs: secretMs });
    if (pair === undefined) return null;
    try {
      return await keepIngressCertificate(this.#deps, this.#handle, digest, pair);
    } catch (error) {
      if (!isMicrocephError(error, "PROGRAM_FAILED")) throw error;
      this.#deps.log.warn({ error: error.message }, "haproxy does not take the gateways' certificate");
      return null;
    }
  }

  /** Start it, or adopt it, at boot, before what was known last. */
  start(): Promise<void> {
    const { memory } = this.#deps;
    const [backends, s3, ranks, digest] = keys.slice(1).map((key) => memory.get(key));
    return this.#here.inOrder(async () => {
      const certificate =
        typeof digest === "string" ? await ingressCertificate(this.#deps, this.#handle, digest) : null;
      await startIngress(this.#deps, this.#handle, {
        backends: Array.isArray(backends) ? (backends as Backend[]) : [],
        s3: s3 !== false,
        ranks: Array.isArray(ranks) ? (ranks as number[]) : [],
        certificate,
      });
    });
  }

  /** It was taken off this node by that decision. @returns whether it was there */
  drop(by: DecisionNumber): Promise<boolean> {
    return this.#here.drop(by, async () => {
      await removeIngress(this.#deps, this.#handle);
      for (const key of keys) this.#deps.memory.delete(key);
    });
  }

  forget(): void {
    for (const key of keys) this.#deps.memory.delete(key);
    this.#here.forget();
  }
}

/** Common addresses that this node may have besides its own. */
export function sharedAddresses(memory: { get(key: string): unknown }): ReadonlySet<string> {
  const kept = memory.get(addressesKey);
  return new Set(Array.isArray(kept) ? kept.filter((address) => typeof address === "string") : []);
}
