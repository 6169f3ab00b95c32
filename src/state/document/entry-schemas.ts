import { z } from "zod";
import { isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { AdmissionWish } from "./admission-policy.ts";
import type { Approval } from "./approval-policy.ts";
import type { JoinToken, NodeFacts, OsdRemoval } from "./cluster-document.ts";

/** Characters of an entry's text; all of one node's facts are one entry. */
export const maxEntryLength = 64 * 1024;
/** Entries of a kind that are looked at. */
export const maxEntries = 2048;

export const settingName = z.string().regex(/^[a-z][a-z0-9._-]{0,95}$/);
export const settingValue = z.string().max(4096);
export const serviceName = z.string().regex(/^[a-z][a-z0-9._-]{0,95}$/);
export const labelValue = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/);

const time = z.iso.datetime({ offset: true });
const peer = z.custom<PeerId>(isPeerId, "not a PeerId");
const json = z.custom<Json>((value) => value !== undefined, "missing");

export const admissionWish: z.ZodType<AdmissionWish> = z.object({
  mode: z.enum(["auto", "approve", "closed"]),
  until: time.nullable(),
  at: time,
  by: peer,
});

export const approvalWord: z.ZodType<Approval> = z.object({
  verdict: z.enum(["approve", "deny"]),
  at: time,
  by: peer,
});

export const tokenId = z.string().regex(/^[0-9a-f]{16}$/);
export const joinToken: z.ZodType<JoinToken> = z.object({
  name: labelValue,
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  expiresAt: time,
  at: time,
  by: peer,
  used: z.object({ peer, at: time }).nullable(),
});

export const osdUuid = z.uuid();
export const osdRemoval: z.ZodType<OsdRemoval> = z.object({
  osd: z.int().min(0),
  mode: z.enum(["drain", "fewer-copies", "now", "replace", "replace-now"]),
  at: time,
  by: peer,
});

const port = z.int().min(0).max(65535);
const version = z.string().max(128);

/** Unknown fields are kept: a later version may say more of itself. */
export const nodeFacts: z.ZodType<NodeFacts> = z.looseObject({
  name: z.string().min(1).max(253),
  addresses: z.array(z.string().min(2).max(64)).max(64),
  meshPort: port,
  lobbyPort: port,
  version,
  cephVersion: version,
  etcdVersion: version,
  disks: json,
  updatedAt: time,
  osds: z
    .array(
      z.object({
        osd: z.int().min(0),
        path: z.string().max(512),
        uuid: z.string().max(64),
        state: z.string().max(32).optional(),
        reason: z.string().max(1000).optional(),
      }),
    )
    .max(512),
  services: z.array(z.string().max(128)).max(128),
});

/** One line of what is wrong with a value. */
export function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return "invalid";
  const path = issue.path.map(String).join(".");
  return `${path === "" ? "" : `${path}: `}${issue.message}`.slice(0, 200);
}
