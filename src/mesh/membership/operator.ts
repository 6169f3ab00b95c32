import { MicrocephError } from "../../errors/microceph-error.ts";
import { type ClusterId, isClusterId } from "../../ids/ids.ts";
import { type MemberCertificate, type Tombstone, verifyCertificate } from "../identity/certificate.ts";
import { type ClusterKey, generateClusterKey } from "../identity/cluster-key.ts";
import type { Contact } from "../lobby/messages.ts";
import type { Context } from "./context.ts";
import type { FounderRole } from "./founder-role.ts";
import { clusterOf, type Lifecycle } from "./lifecycle.ts";
import { isLater } from "./member-role.ts";
import { provenClusters } from "./neighbours.ts";
import { checkNetworks, choosePublicNetwork, ownNetworks } from "./public-network.ts";
import { shownCluster } from "./status.ts";

export interface BootstrapOptions {
  readonly clusterName?: string;
  /** CIDR of one of this node's subnets; default: the default route's, else the lowest. */
  readonly publicNetwork?: string;
}

/** A cluster that was there before. */
export interface Restoration {
  readonly key: ClusterKey;
  readonly name: string;
  /** CIDR, comma list. */
  readonly publicNetwork: string;
}

export interface Admission {
  readonly certificate: MemberCertificate;
  readonly clusterName: string;
  readonly contacts: readonly Contact[];
}

/** Transitions that an operator, or this node's own daemon, asks for; `Membership` documents each. */
export class Operator {
  readonly #context: Context;
  readonly #founder: FounderRole;

  constructor(context: Context, founder: FounderRole) {
    this.#context = context;
    this.#founder = founder;
  }

  join(clusterIdOrName: string | undefined): { readonly cluster: ClusterId | null } {
    const state = this.#context.record.current;
    if (state.state === "member" || state.state === "founded") throw alreadyInitialized(state);
    if (state.state === "removed") throw removedNode();
    const cluster = clusterIdOrName === undefined ? null : this.#clusterNamed(clusterIdOrName);
    this.#context.record.wish(cluster);
    const bound = clusterOf(state);
    if (cluster !== null && bound !== null && bound !== cluster) this.release();
    return { cluster };
  }

  bootstrapAlone(options: BootstrapOptions): ClusterId {
    const { settings } = this.#context;
    this.#assertFresh();
    const interfaces = this.#context.interfaces();
    if (options.publicNetwork !== undefined) checkNetworks(options.publicNetwork, ownNetworks(interfaces));
    const publicNetwork = options.publicNetwork ?? choosePublicNetwork(interfaces, [])?.network;
    if (publicNetwork === undefined) {
      throw new MicrocephError("NO_PUBLIC_NETWORK", "no interface of this node has an address for a cluster");
    }
    const key = generateClusterKey();
    const name = options.clusterName ?? settings.clusterName;
    this.#found({ key, name, publicNetwork }, "asked for by an operator");
    return key.id;
  }

  restore(restoration: Restoration): void {
    this.#assertFresh();
    this.#found(restoration, "restored from a backup");
  }

  release(): boolean {
    const state = this.#context.record.current;
    switch (state.state) {
      case "claimed":
        this.#context.become({ state: "fresh" }, "released by an operator");
        return true;
      case "founding":
        this.#founder.giveUp("released by an operator", true);
        return true;
      case "member":
      case "founded":
        throw alreadyInitialized(state);
      default:
        return false;
    }
  }

  admitted({ certificate: value, clusterName, contacts }: Admission): void {
    const { self, record } = this.#context;
    const state = record.current;
    const cluster = clusterOf(state);
    const certificate = cluster === null ? undefined : verifyCertificate(value, { peer: self, cluster });
    if (state.state === "member" && certificate !== undefined) return;
    if (certificate === undefined || (state.state !== "founded" && state.state !== "claimed")) {
      throw new MicrocephError("INTERNAL", `a certificate does not fit a node that is ${state.state}`);
    }
    this.#context.become({ state: "member", certificate, clusterName, contacts }, "admitted");
  }

  removed(tombstone: Tombstone): void {
    const { self, record } = this.#context;
    const state = record.current;
    if (state.state !== "member" || tombstone.cluster !== state.certificate.cluster) return;
    if (tombstone.peer !== self || !isLater(tombstone, state.certificate)) return;
    this.#context.become({ state: "removed", tombstone }, "removed by its cluster");
  }

  #assertFresh(): void {
    const state = this.#context.record.current;
    if (state.state === "removed") throw removedNode();
    if (state.state !== "fresh") throw alreadyInitialized(state);
  }

  #found({ key, name, publicNetwork }: Restoration, why: string): void {
    const at = new Date(this.#context.clock.now()).toISOString();
    this.#context.become({ state: "founded", key, name, acceptors: [], publicNetwork, at }, why);
  }

  #clusterNamed(text: string): ClusterId {
    if (isClusterId(text)) return text;
    const clusters = provenClusters(this.#context.neighbours(), this.#context.clock.now());
    const fitting = clusters.filter(({ name }) => name === text);
    const [cluster] = fitting;
    if (cluster === undefined) {
      const list = clusters.map(({ id, name }) => `${name} (${id})`).join(", ");
      throw new MicrocephError("NOT_FOUND", `no cluster named ${text} is in sight; seen: ${list || "none"}`);
    }
    if (fitting.length > 1) {
      const ids = fitting.map(({ id }) => id).join(", ");
      throw new MicrocephError("AMBIGUOUS_CLUSTER", `${fitting.length} clusters are named ${text}: ${ids}`);
    }
    return cluster.id;
  }
}

function alreadyInitialized(state: Lifecycle): MicrocephError {
  const cluster = shownCluster(state);
  const bond =
    state.state === "member" ? "is a member of" : state.state === "claimed" ? "is claimed by" : "founds";
  return new MicrocephError(
    "ALREADY_INITIALIZED",
    `this node ${bond} cluster ${cluster?.name} (${cluster?.id})`,
    { data: { state: state.state, cluster: cluster?.id ?? null } },
  );
}

function removedNode(): MicrocephError {
  return new MicrocephError(
    "ALREADY_INITIALIZED",
    "this node was removed from its cluster; started with a new --state-dir it is a fresh node",
  );
}
