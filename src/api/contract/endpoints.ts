import { z } from "zod";
import { bootstrapRequest, clusterMember } from "./cluster.ts";
import {
  addDisksRequest,
  adoptDisksRequest,
  availableDisk,
  cancelledRemoval,
  configuredDisk,
  encryptionSupport,
  nodeInventory,
  osdActionRequest,
  osdParams,
  removeDiskRequest,
  replaceDiskRequest,
} from "./disks.ts";
import { failureDomainPlanRequest, failureDomainRequest, zone, zoneRequest } from "./failure-domain.ts";
import { job, jobParams, jobWaitQuery } from "./jobs.ts";
import { journalEntry, journalQuery } from "./journal.ts";
import { maintenanceParams, maintenanceRequest } from "./maintenance.ts";
import {
  admission,
  admissionRequest,
  approveRequest,
  denyRequest,
  fingerprintReport,
  joinRequest,
  meshStatus,
  namedNodes,
  releaseRequest,
  selfStatus,
  staticPeer,
  staticPeerRequest,
} from "./mesh.ts";
import { recoveryPlan, recoveryRequest } from "./recovery.ts";
import {
  memberParams,
  removalCancel,
  removalPlan,
  removalReply,
  removalRequest,
  renameRequest,
} from "./removal.ts";
import { resetReply, resetRequest } from "./reset.ts";
import type { Shape } from "./shape.ts";
import {
  health,
  readiness,
  serverInfo,
  service,
  setting,
  settingParams,
  settingRequest,
  settings,
  statusReport,
} from "./status.ts";
import { issuedToken, shownToken, tokenJoinRequest, tokenParams, tokenRequest } from "./tokens.ts";

/** One request and its reply. `async` answers with a job; only what `waits` may take longer than two seconds. */
export interface Endpoint {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  /** Other paths that answer the same: MicroCeph's own. */
  readonly aliases?: readonly string[];
  readonly summary: string;
  readonly params?: z.ZodType;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  readonly reply: z.ZodType;
  readonly kind: "sync" | "async";
  readonly waits?: true;
}

/** The whole API, but for the event stream and the OpenAPI document. Keys are the methods of `Operations`. */
export const endpoints = {
  server: {
    method: "GET",
    path: "/1.0",
    aliases: ["/core/1.0"],
    summary: "Name, version, API extensions and state of this node",
    reply: serverInfo,
    kind: "sync",
  },
  ready: {
    method: "GET",
    path: "/1.0/ready",
    aliases: ["/core/1.0/ready"],
    summary: "Whether Ceph answers and has enough OSDs up",
    reply: readiness,
    kind: "sync",
  },
  status: {
    method: "GET",
    path: "/1.0/status",
    summary: "The mesh, Ceph's health, disks and services",
    reply: statusReport,
    kind: "sync",
  },
  health: {
    method: "GET",
    path: "/1.0/health",
    summary: "Conditions a person should know of",
    reply: health,
    kind: "sync",
  },
  mesh: {
    method: "GET",
    path: "/1.0/mesh",
    summary: "Cluster, this node, lease, members, pending nodes and conflicts",
    reply: meshStatus,
    kind: "sync",
  },
  staticPeers: {
    method: "GET",
    path: "/1.0/mesh/peers",
    summary: "Addresses that this node greets by unicast",
    reply: z.array(staticPeer),
    kind: "sync",
  },
  addStaticPeer: {
    method: "POST",
    path: "/1.0/mesh/peers",
    summary: "Greet a node by unicast, from now on: where no multicast goes",
    body: staticPeerRequest,
    reply: z.array(staticPeer),
    kind: "sync",
  },
  removeStaticPeer: {
    method: "DELETE",
    path: "/1.0/mesh/peers",
    summary: "Greet a node by unicast no more",
    body: staticPeerRequest,
    reply: z.array(staticPeer),
    kind: "sync",
  },
  approve: {
    method: "POST",
    path: "/1.0/mesh/approve",
    summary: "Approve pending nodes",
    body: approveRequest,
    reply: namedNodes,
    kind: "sync",
  },
  deny: {
    method: "POST",
    path: "/1.0/mesh/deny",
    summary: "Refuse a pending node; of an approval and a denial at the same time the denial holds",
    body: denyRequest,
    reply: namedNodes,
    kind: "sync",
  },
  admission: {
    method: "GET",
    path: "/1.0/mesh/admission",
    summary: "How the cluster takes fresh nodes",
    reply: admission,
    kind: "sync",
  },
  setAdmission: {
    method: "PUT",
    path: "/1.0/mesh/admission",
    summary: "Set how the cluster takes fresh nodes",
    body: admissionRequest,
    reply: admission,
    kind: "sync",
  },
  fingerprint: {
    method: "GET",
    path: "/1.0/mesh/fingerprint",
    summary: "Words that both sides of a claim show",
    reply: fingerprintReport,
    kind: "sync",
  },
  join: {
    method: "POST",
    path: "/1.0/mesh/join",
    summary: "Open this node's window for a claim, by one cluster if named",
    body: joinRequest,
    reply: selfStatus,
    kind: "sync",
  },
  release: {
    method: "POST",
    path: "/1.0/mesh/release",
    summary: "Release this node from a claim that was not completed",
    body: releaseRequest,
    reply: selfStatus,
    kind: "sync",
  },
  bootstrap: {
    method: "POST",
    path: "/1.0/cluster",
    summary: "Found a cluster on this node",
    body: bootstrapRequest,
    reply: job,
    kind: "async",
  },
  issueToken: {
    method: "POST",
    path: "/1.0/tokens",
    aliases: ["/core/control/tokens"],
    summary: "Make a token by which one node joins; its secret is told only now",
    body: tokenRequest,
    reply: issuedToken,
    kind: "sync",
  },
  tokens: {
    method: "GET",
    path: "/1.0/tokens",
    aliases: ["/core/control/tokens"],
    summary: "Join tokens, without their secrets",
    reply: z.array(shownToken),
    kind: "sync",
  },
  revokeToken: {
    method: "DELETE",
    path: "/1.0/tokens/{name}",
    aliases: ["/core/1.0/tokens/{name}"],
    summary: "Take a join token back that was not used",
    params: tokenParams,
    reply: tokenParams,
    kind: "sync",
  },
  joinByToken: {
    method: "POST",
    path: "/1.0/cluster/join",
    summary: "Join the cluster of a token; the job's result: {cluster, name}",
    body: tokenJoinRequest,
    reply: job,
    kind: "async",
  },
  members: {
    method: "GET",
    path: "/1.0/cluster/members",
    aliases: ["/core/1.0/cluster"],
    summary: "The members, as MicroCeph lists them",
    reply: z.array(clusterMember),
    kind: "sync",
  },
  planRemoval: {
    method: "POST",
    path: "/1.0/cluster/members/remove/plan",
    summary: "What the removal of a member would do; changes nothing",
    body: removalRequest,
    reply: removalPlan,
    kind: "sync",
  },
  removeMember: {
    method: "POST",
    path: "/1.0/cluster/members/remove",
    summary: "Move what a member carries and forget it; the job's result: {name, id}",
    body: removalRequest,
    reply: job,
    kind: "async",
  },
  cancelRemoval: {
    method: "POST",
    path: "/1.0/cluster/members/remove/cancel",
    summary: "Call a removal off; what has moved stays where it is",
    body: removalCancel,
    reply: removalReply,
    kind: "sync",
  },
  reset: {
    method: "POST",
    path: "/1.0/cluster/reset",
    summary: "Make a node that no cluster counts on a fresh one, with another key; the daemon starts anew",
    body: resetRequest,
    reply: resetReply,
    kind: "sync",
  },
  planRecovery: {
    method: "GET",
    path: "/1.0/cluster/recovery",
    summary: "What each member last knew, and what a recovery on this node would do; changes nothing",
    reply: recoveryPlan,
    kind: "sync",
  },
  recover: {
    method: "POST",
    path: "/1.0/cluster/recovery",
    summary: "Decide alone, although the majority of the voters is gone; the job's result is a RecoveryReply",
    body: recoveryRequest,
    reply: job,
    kind: "async",
  },
  renameMember: {
    method: "PUT",
    path: "/1.0/cluster/members/{node}/name",
    summary: "Give a member another name; its handle, by which Ceph knows it, stays",
    params: memberParams,
    body: renameRequest,
    reply: removalReply,
    kind: "sync",
  },
  maintenance: {
    method: "PUT",
    path: "/1.0/ops/maintenance/{node}",
    summary: "Bring a member into maintenance, or out of it; the job's result is a MaintenanceReport",
    params: maintenanceParams,
    body: maintenanceRequest,
    reply: job,
    kind: "async",
  },
  planFailureDomain: {
    method: "POST",
    path: "/1.0/cluster/failure-domain/plan",
    summary: "Find out over what copies are spread, and what the next, or another, failure domain would move",
    body: failureDomainPlanRequest,
    reply: job,
    kind: "async",
  },
  setFailureDomain: {
    method: "PUT",
    path: "/1.0/cluster/failure-domain",
    summary: "Set the failure domain, or let it grow by itself again",
    body: failureDomainRequest,
    reply: job,
    kind: "async",
  },
  zones: {
    method: "GET",
    path: "/1.0/cluster/zones",
    summary: "The members' zones",
    reply: z.array(zone),
    kind: "sync",
  },
  setZone: {
    method: "PUT",
    path: "/1.0/cluster/zones",
    summary: "Say in which zone a member stands; null: in none",
    body: zoneRequest,
    reply: job,
    kind: "async",
  },
  disks: {
    method: "GET",
    path: "/1.0/disks",
    summary: "All OSDs with their disks",
    reply: z.array(configuredDisk),
    kind: "sync",
  },
  availableDisks: {
    method: "GET",
    path: "/1.0/disks/available",
    summary: "Empty block devices of this node",
    reply: z.array(availableDisk),
    kind: "sync",
  },
  diskInventory: {
    method: "GET",
    path: "/1.0/disks/inventory",
    summary: "Every whole disk of every member, and why it is not available, as each last said",
    reply: z.array(nodeInventory),
    kind: "sync",
  },
  removeDisk: {
    method: "DELETE",
    path: "/1.0/disks/{osdid}",
    summary:
      "Take an OSD of any member out of Ceph: its data moves first. The job's result: {osd, uuid, cleaned}",
    params: osdParams,
    body: removeDiskRequest,
    reply: job,
    kind: "async",
  },
  adoptDisks: {
    method: "POST",
    path: "/1.0/disks/adopt",
    summary:
      "Let OSDs of this cluster run that lie on disks of this node. The job's result: {report: [{osd, path, report, error}]}",
    body: adoptDisksRequest,
    reply: job,
    kind: "async",
  },
  replaceDisk: {
    method: "POST",
    path: "/1.0/disks/{osdid}/replace",
    summary:
      "Give an OSD another disk of this node: its number and its weight stay. The job's result: {osd, path}",
    params: osdParams,
    body: replaceDiskRequest,
    reply: job,
    kind: "async",
  },
  cancelDiskRemoval: {
    method: "POST",
    path: "/1.0/disks/{osdid}/remove/cancel",
    summary: "Call the removal of an OSD off; it gets its data back",
    params: osdParams,
    body: osdActionRequest,
    reply: cancelledRemoval,
    kind: "sync",
  },
  restartOsd: {
    method: "POST",
    path: "/1.0/disks/{osdid}/restart",
    summary: "Restart one OSD of this node",
    params: osdParams,
    body: osdActionRequest,
    reply: job,
    kind: "async",
  },
  stopOsd: {
    method: "POST",
    path: "/1.0/disks/{osdid}/stop",
    summary: "Stop one OSD of this node; it stays stopped, also over a boot",
    params: osdParams,
    body: osdActionRequest,
    reply: job,
    kind: "async",
  },
  startOsd: {
    method: "POST",
    path: "/1.0/disks/{osdid}/start",
    summary: "Start an OSD of this node that was stopped",
    params: osdParams,
    body: osdActionRequest,
    reply: job,
    kind: "async",
  },
  rotateOsdKey: {
    method: "POST",
    path: "/1.0/disks/{osdid}/rotate-key",
    summary: "Give an encrypted OSD of this node another key",
    params: osdParams,
    body: osdActionRequest,
    reply: job,
    kind: "async",
  },
  encryptionSupport: {
    method: "GET",
    path: "/1.0/disks/encryption-support",
    summary: "Whether this node can encrypt disks, or what is missing",
    reply: encryptionSupport,
    kind: "sync",
  },
  addDisks: {
    method: "POST",
    path: "/1.0/disks",
    summary: "Make OSDs of disks of this node",
    body: addDisksRequest,
    reply: job,
    kind: "async",
  },
  services: {
    method: "GET",
    path: "/1.0/services",
    summary: "Services and their nodes",
    reply: z.array(service),
    kind: "sync",
  },
  jobs: {
    method: "GET",
    path: "/1.0/jobs",
    summary: "Jobs of this node, oldest first",
    reply: z.array(job),
    kind: "sync",
  },
  job: {
    method: "GET",
    path: "/1.0/jobs/{id}",
    summary: "One job",
    params: jobParams,
    reply: job,
    kind: "sync",
  },
  waitForJob: {
    method: "GET",
    path: "/1.0/jobs/{id}/wait",
    summary: "The job when it ended, or as it is after the timeout",
    params: jobParams,
    query: jobWaitQuery,
    reply: job,
    kind: "sync",
    waits: true,
  },
  settings: {
    method: "GET",
    path: "/1.0/settings",
    summary: "All settings of the cluster",
    reply: settings,
    kind: "sync",
  },
  setting: {
    method: "GET",
    path: "/1.0/settings/{key}",
    summary: "One setting",
    params: settingParams,
    reply: setting,
    kind: "sync",
  },
  setSetting: {
    method: "PUT",
    path: "/1.0/settings/{key}",
    summary: "Change a setting",
    params: settingParams,
    body: settingRequest,
    reply: setting,
    kind: "sync",
  },
  resetSetting: {
    method: "DELETE",
    path: "/1.0/settings/{key}",
    summary: "Unset a setting: its default holds again",
    params: settingParams,
    reply: settings,
    kind: "sync",
  },
  journal: {
    method: "GET",
    path: "/1.0/journal",
    summary: "Decisions known here, newest last",
    query: journalQuery,
    reply: z.array(journalEntry),
    kind: "sync",
  },
} as const satisfies Record<string, Endpoint>;

export type Endpoints = typeof endpoints;
export type EndpointName = keyof Endpoints;

type Part<E, Key extends string> = E extends { readonly [K in Key]: infer S extends z.ZodType }
  ? Shape<S>
  : object;
/** Path, query and body parameters of an endpoint in one object. */
export type InputOf<Name extends EndpointName> = Part<Endpoints[Name], "params"> &
  Part<Endpoints[Name], "query"> &
  Part<Endpoints[Name], "body">;
export type ReplyOf<Name extends EndpointName> = Shape<Endpoints[Name]["reply"]>;
