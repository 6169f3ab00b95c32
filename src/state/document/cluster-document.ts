import type { PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { Admission } from "./admission-policy.ts";
import type { Approval } from "./approval-policy.ts";

/** What a node says of itself; written and signed only by that node. No liveness, nothing that flaps. */
export interface NodeFacts {
  readonly name: string;
  /** IP addresses on which its mesh and lobby listen. */
  readonly addresses: readonly string[];
  readonly meshPort: number;
  readonly lobbyPort: number;
  readonly version: string;
  readonly cephVersion: string;
  readonly etcdVersion: string;
  readonly disks: Json;
  /** RFC 3339. */
  readonly updatedAt: string;
  readonly osds: readonly {
    readonly osd: number;
    readonly path: string;
    readonly uuid: string;
    /** What its supervisor says of it, and why it does not run; absent from nodes of an earlier version. */
    readonly state?: string | undefined;
    readonly reason?: string | undefined;
  }[];
  readonly services: readonly string[];
}

/** What operators call a node and where they say it stands. */
export interface NodeLabels {
  readonly zone?: string;
  readonly name?: string;
  /** It is to leave the cluster: `moving` what it carries first, or `dead`. Only `forget` takes this back. */
  readonly leaving?: string;
  /** Its vote, monitor, manager and metadata server are for others (`away`), or theirs for it (`preferred`). */
  readonly seats?: string;
}

/** The wish that an OSD is taken out of Ceph. */
export interface OsdRemoval {
  readonly osd: number;
  /**
   * `drain`: once nothing depends on it. `fewer-copies`: as soon as data stays served. `now`: whatever it holds.
   * `replace`: its number is kept, once all other copies are whole; `replace-now`: whatever it holds.
   */
  readonly mode: "drain" | "fewer-copies" | "now" | "replace" | "replace-now";
  /** RFC 3339. */
  readonly at: string;
  readonly by: PeerId;
}

/** A word by which one node may join without another word of an operator. Of its secret only the hash is here. */
export interface JoinToken {
  /** Name that the node gets. */
  readonly name: string;
  /** SHA-256 of the secret, in hexadecimal. */
  readonly hash: string;
  /** RFC 3339. */
  readonly expiresAt: string;
  readonly at: string;
  readonly by: PeerId;
  /** Who showed it first, and when; null before. */
  readonly used: { readonly peer: PeerId; readonly at: string } | null;
}

/** The document as the rest of the daemon sees it: only what is valid, resolved for this moment. */
export interface ClusterDocument {
  readonly settings: Readonly<Record<string, string>>;
  readonly admission: Admission;
  /** Verdicts that hold now; a lapsed approval is absent. */
  readonly approvals: Readonly<Record<PeerId, Approval>>;
  /** Wanted services, by name. */
  readonly services: Readonly<Record<string, Json>>;
  readonly labels: Readonly<Record<PeerId, NodeLabels>>;
  readonly nodes: Readonly<Record<PeerId, NodeFacts>>;
  /**
   * By their ids. Shown to two members at the same moment, one may have been used by two nodes: then each is here,
   * the earlier first, the same on every member.
   */
  readonly tokens: Readonly<Record<string, readonly JoinToken[]>>;
  /** By the uuid of the OSD. */
  readonly removals: Readonly<Record<string, OsdRemoval>>;
}

/** A part of the document that is not used, and why. */
export interface DocumentProblem {
  /** Key of the entry, such as `node/12D3…`. */
  readonly path: string;
  readonly text: string;
}
