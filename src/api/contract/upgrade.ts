import { z } from "zod";
import { name, type Shape, text } from "./shape.ts";

export const restartParams = z.strictObject({
  service: z.enum(["mon", "mgr", "mds", "rgw", "rbd-mirror", "cephfs-mirror", "nfs"]),
});
export const restartRequest = z.strictObject({});

/** What a node's disk has now, which its running daemons need not be. */
export const installedPrograms = z.object({
  /** First line of `ceph-mon --version`; empty where it is not installed. */
  ceph: text,
  etcd: z.string(),
  product: z.string(),
  /** Of the NFS gateway, which Ceph does not list; null where none runs. */
  nfs: z
    .object({
      installed: text,
      replaced: z.boolean().describe("the running one was started before what is installed was put there"),
    })
    .nullable()
    .default(null),
});
export type InstalledPrograms = Shape<typeof installedPrograms>;

export const upgradeRequest = z.strictObject({
  all: z.boolean().default(false).describe("restart every daemon, also those that run what is installed"),
  force: z
    .boolean()
    .default(false)
    .describe("go on where data is not served meanwhile, or not whole; default: wait, then fail"),
});
export const upgradeQuery = z.strictObject({
  all: z.stringbool().default(false).describe("as if every daemon were to be restarted"),
});

const upgradeStep = z.object({
  daemon: z.string().describe("`mon.n1`, `osd.3`"),
  node: name,
  running: text.describe("version that runs"),
  installed: text.describe("version that its node has installed"),
});
export const upgradePlan = z.object({
  /** In the order in which they are restarted. */
  steps: z.array(upgradeStep),
  nodes: z.array(
    z.object({
      node: name,
      ceph: text,
      product: z.string(),
      /** Why it is left out; empty when it is not. */
      problem: text,
    }),
  ),
  /** Release that all OSDs will run and older ones may not join any more; null: stays as it is. */
  release: z.string().nullable(),
  warnings: z.array(text),
});
export type UpgradePlan = Shape<typeof upgradePlan>;
export type UpgradeStep = Shape<typeof upgradeStep>;

/** Result of the job. */
export const upgradeReply = z.object({
  restarted: z.array(z.string()),
  release: z.string().nullable(),
  warnings: z.array(text),
});
export type UpgradeReply = Shape<typeof upgradeReply>;
