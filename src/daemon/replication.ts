import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import type {
  configureReplicationRequest,
  disableReplicationRequest,
  enableReplicationRequest,
  RemoteRow,
  ReplicatedImage,
  ReplicatedPool,
  resyncRequest,
  SiteReply,
  siteRequest,
} from "../api/contract/replication.ts";
import type { Shape } from "../api/contract/shape.ts";
import type { CallOptions } from "../ceph/command/commands.ts";
import { CephProgram, type ForeignAccess, withKeyFile } from "../ceph/command/rbd.ts";
import { whileRefused } from "../ceph/command/while-refused.ts";
import { isRefusal } from "../ceph/command/words.ts";
import { MicrocephError, messageOf } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import type { Daemon } from "./daemon.ts";
import { listFileReplication } from "./file-replication.ts";
import type { JobTools } from "./jobs.ts";
import { accessFor, forgetRemote, listRemotes, remoteOf } from "./remotes.ts";
import { commandsOf, runtimeOf } from "./runtime-of.ts";

const callMs = 60_000;
/** Milliseconds that what one site does has to arrive at the other. */
const handOverMs = 120_000;
const lookMs = 1000;

/** `rbd mirror pool info`, `rbd mirror pool status --verbose` and `rbd info`, as far as they are used. */
const poolInfo = z.object({
  mode: z.enum(["disabled", "pool", "image", "init-only", "unknown"]),
  peers: z.array(z.object({ uuid: z.string(), site_name: z.string() })).default([]),
});
const poolStatus = z.object({
  images: z
    .array(
      z.object({
        name: z.string(),
        state: z.string().default("unknown"),
        description: z.string().default(""),
        last_update: z.string().default(""),
      }),
    )
    .default([]),
});
const imageInfo = z.object({
  features: z.array(z.string()).default([]),
  mirroring: z
    .object({ mode: z.string().default("unknown"), state: z.string(), primary: z.boolean().default(false) })
    .optional(),
});
type PoolInfo = z.infer<typeof poolInfo>;

const infoOf = async (rbd: CephProgram, pool: string, call: CallOptions): Promise<PoolInfo> =>
  poolInfo.parse(await rbd.json("rbd", ["mirror", "pool", "info", pool], call));
const imageOf = async (
  rbd: CephProgram,
  spec: string,
  call: CallOptions,
): Promise<z.infer<typeof imageInfo>> => imageInfo.parse(await rbd.json("rbd", ["info", spec], call));
const imagesOf = async (rbd: CephProgram, pool: string, call: CallOptions): Promise<string[]> =>
  z.array(z.string()).parse(await rbd.json("rbd", ["ls", pool], call));
const isOn = (info: PoolInfo): boolean => info.mode === "pool" || info.mode === "image";
const specOf = ({ pool, image }: { readonly pool: string; readonly image: string }): string =>
  `${pool}/${image}`;

function here(cluster: ClusterRuntime): CephProgram {
  return CephProgram.own(cluster.deps.cephNode.deps.paths);
}

/** Pools that are mirrored, with their images, as this site sees them. */
export async function listReplication(
  cluster: ClusterRuntime,
  signal: AbortSignal,
): Promise<ReplicatedPool[]> {
  const call = { deadlineMs: callMs, signal };
  const found: ReplicatedPool[] = [];
  for (const pool of await imagePools(cluster, call)) {
    const report = await reportOn(here(cluster), pool, call);
    if (report !== null) found.push(report);
  }
  return found;
}

/** One of them. Throws NOT_FOUND. */
export async function replicationOf(
  cluster: ClusterRuntime,
  pool: string,
  signal: AbortSignal,
): Promise<ReplicatedPool> {
  const call = { deadlineMs: callMs, signal };
  const isThere = (await imagePools(cluster, call)).includes(pool);
  const report = isThere ? await reportOn(here(cluster), pool, call) : null;
  if (report === null)
    throw new MicrocephError("NOT_FOUND", `the pool ${pool} is not mirrored`, { data: { pool } });
  return report;
}

/** Null for a pool that is not mirrored. */
async function reportOn(rbd: CephProgram, pool: string, call: CallOptions): Promise<ReplicatedPool | null> {
  const { mode, peers } = await infoOf(rbd, pool, call);
  if (mode !== "pool" && mode !== "image") return null;
  const status = poolStatus.parse(
    await rbd.json("rbd", ["mirror", "pool", "status", pool, "--verbose"], call),
  );
  const images: ReplicatedImage[] = [];
  for (const image of await imagesOf(rbd, pool, call)) {
    const { mirroring } = await imageOf(rbd, specOf({ pool, image }), call);
    if (mirroring?.state !== "enabled") continue;
    const said = status.images.find(({ name }) => name === image);
    images.push({
      ...{ pool, image, type: mirroring.mode, is_primary: mirroring.primary },
      ...{ state: said?.state ?? "unknown", description: said?.description ?? "" },
      last_update: said?.last_update ?? "",
    });
  }
  return { pool, mode, remotes: peers.map(({ site_name }) => site_name).sort(), images };
}

async function imagePools(cluster: ClusterRuntime, call: CallOptions): Promise<string[]> {
  const pools = await commandsOf(cluster).pools(call);
  return pools.flatMap(({ name, applications }) => (applications.includes("rbd") ? [name] : [])).sort();
}

/**
 * Mirror a pool, or one image of it, with another site, in both directions. Cut off at any point, it completes when it is
 * asked for again. Throws NOT_FOUND, USAGE, REPLICATION_CONFLICT, what Ceph refuses.
 */
export async function enableReplication(
  cluster: ClusterRuntime,
  asked: Shape<typeof enableReplicationRequest>,
  signal: AbortSignal,
): Promise<ReplicatedPool> {
  const { pool, image, type, schedule } = asked;
  if (type === "snapshot" && image === undefined) {
    throw new MicrocephError("USAGE", "snapshots are mirrored of single images: POOL/IMAGE");
  }
  if (type === "journal" && schedule !== undefined) {
    throw new MicrocephError("USAGE", "a schedule is for --type snapshot");
  }
  const call = { deadlineMs: callMs, signal };
  const ceph = commandsOf(cluster);
  const remote = await remoteOf(ceph, asked.remote, call);
  if (!(await imagePools(cluster, call)).includes(pool)) {
    throw new MicrocephError(
      "NOT_FOUND",
      `there is no pool ${pool} for images: microceph pool create ${pool}`,
    );
  }
  const { paths } = cluster.deps.cephNode.deps;
  const rbd = here(cluster);
  const mode = image === undefined ? "pool" : "image";
  const back = await accessFor(cluster, asked.remote, call);
  await CephProgram.foreign(paths, remote, async (site) => {
    const [own, other] = [await infoOf(rbd, pool, call), await foreignInfo(site, asked, call)];
    for (const [where, info] of [
      ["here", own],
      [`at ${asked.remote}`, other],
    ] as const) {
      if (isOn(info) && info.mode !== mode) {
        throw new MicrocephError(
          "REPLICATION_CONFLICT",
          `the pool ${pool} is mirrored ${info.mode === "pool" ? "as a whole" : "image by image"} ${where} already`,
          { data: { pool } },
        );
      }
    }
    if (!isOn(own)) await rbd.text("rbd", ["mirror", "pool", "enable", pool, mode], call);
    if (!isOn(other)) await site.text("rbd", ["mirror", "pool", "enable", pool, mode], call);
    await addPeer(paths, rbd, { pool, known: own, name: asked.remote, ...remote }, call);
    await addPeer(paths, site, { pool, known: other, name: remote.importer, ...back }, call);
  });
  if (image === undefined) {
    const images = asked.skip_auto_enable ? [] : await imagesOf(rbd, pool, call);
    for (const one of images) await keepJournal(rbd, specOf({ pool, image: one }), call);
  } else {
    if (type === "journal") await keepJournal(rbd, specOf({ pool, image }), call);
    await enableImage(rbd, { pool, image, type, schedule }, call);
  }
  return replicationOf(cluster, pool, signal);
}

async function foreignInfo(
  site: CephProgram,
  { pool, remote }: { readonly pool: string; readonly remote: string },
  call: CallOptions,
): Promise<PoolInfo> {
  try {
    return await infoOf(site, pool, call);
  } catch (error) {
    if (!isRefusal(error, "ENOENT")) throw error;
    throw new MicrocephError(
      "NOT_FOUND",
      `the site ${remote} has no pool ${pool}; there: microceph pool create ${pool}`,
      { cause: error, data: { pool, remote } },
    );
  }
}

async function addPeer(
  paths: Parameters<typeof withKeyFile>[0],
  rbd: CephProgram,
  peer: ForeignAccess & {
    readonly pool: string;
    readonly known: PoolInfo;
    readonly name: string;
  },
  call: CallOptions,
): Promise<void> {
  const { pool, known, name, monHost, client, key } = peer;
  if (known.peers.some(({ site_name }) => site_name === name)) return;
  await withKeyFile(paths, key, (file) =>
    rbd.text(
      "rbd",
      [
        ...["mirror", "pool", "peer", "add", pool, `client.${client}@${name}`],
        ...["--remote-mon-host", monHost, "--remote-key-file", file],
      ],
      call,
    ),
  );
}

/** Only what has a journal can be mirrored by it. */
async function keepJournal(rbd: CephProgram, spec: string, call: CallOptions): Promise<void> {
  const { features, mirroring } = await imageOf(rbd, spec, call);
  if (features.includes("journaling") || mirroring?.state === "enabled") return;
  if (!features.includes("exclusive-lock"))
    await rbd.text("rbd", ["feature", "enable", spec, "exclusive-lock"], call);
  await rbd.text("rbd", ["feature", "enable", spec, "journaling"], call);
}

async function enableImage(
  rbd: CephProgram,
  asked: {
    readonly pool: string;
    readonly image: string;
    readonly type: "journal" | "snapshot";
    readonly schedule: string | undefined;
  },
  call: CallOptions,
): Promise<void> {
  const { type, schedule } = asked;
  const spec = specOf(asked);
  const { mirroring } = await imageOf(rbd, spec, call);
  if (mirroring?.state === "enabled" && mirroring.mode !== type) {
    throw new MicrocephError("REPLICATION_CONFLICT", `${spec} is mirrored by ${mirroring.mode} already`);
  }
  if (mirroring?.state !== "enabled") await rbd.text("rbd", ["mirror", "image", "enable", spec, type], call);
  if (schedule !== undefined) await setSchedule(rbd, { ...asked, schedule }, call);
}

/** The one schedule of an image. */
async function setSchedule(
  rbd: CephProgram,
  { pool, image, schedule }: Shape<typeof configureReplicationRequest>,
  call: CallOptions,
): Promise<void> {
  const where = ["--pool", pool, "--image", image];
  const words = ["mirror", "snapshot", "schedule"];
  // `rbd` ends with ENOENT where there is none.
  const said = await rbd.json("rbd", [...words, "ls", ...where], call).catch((error: unknown) => {
    if (isRefusal(error, "ENOENT")) return [];
    throw error;
  });
  const kept = z.array(z.object({ interval: z.string() })).parse(said);
  // The new one first: there is always one.
  if (kept.every(({ interval }) => interval !== schedule)) {
    await rbd.text("rbd", [...words, "add", ...where, schedule], call);
  }
  for (const { interval } of kept.filter((one) => one.interval !== schedule)) {
    await rbd.text("rbd", [...words, "rm", ...where, interval], call);
  }
}

/** Throws USAGE for an image that is not mirrored by snapshots, NOT_FOUND. */
export async function configureReplication(
  cluster: ClusterRuntime,
  asked: Shape<typeof configureReplicationRequest>,
  signal: AbortSignal,
): Promise<ReplicatedPool> {
  const call = { deadlineMs: callMs, signal };
  const rbd = here(cluster);
  const { mirroring } = await imageOf(rbd, specOf(asked), call);
  if (mirroring?.state !== "enabled" || mirroring.mode !== "snapshot") {
    throw new MicrocephError("USAGE", `${specOf(asked)} is not mirrored by snapshots`);
  }
  await setSchedule(rbd, asked, call);
  return replicationOf(cluster, asked.pool, signal);
}

/**
 * Mirror a pool, or an image, no more. What copies at the other site removes each copy as soon as it hears of it, unless
 * that was promoted before. Throws NOT_FOUND, REPLICATION_CONFLICT, DATA_LOSS_UNCONFIRMED, what Ceph refuses.
 */
export async function disableReplication(
  cluster: ClusterRuntime,
  { pool, image, confirmed }: Shape<typeof disableReplicationRequest>,
  signal: AbortSignal,
): Promise<{ pool: string }> {
  const call = { deadlineMs: callMs, signal };
  const rbd = here(cluster);
  const report = await replicationOf(cluster, pool, signal);
  if (image !== undefined) {
    const one = report.images.find((each) => each.image === image);
    if (one === undefined)
      throw new MicrocephError("NOT_FOUND", `${specOf({ pool, image })} is not mirrored`);
    if (!confirmed) {
      throw new MicrocephError("DATA_LOSS_UNCONFIRMED", `the copy of ${specOf({ pool, image })} goes`);
    }
    await rbd.text("rbd", ["mirror", "image", "disable", specOf({ pool, image }), "--force"], call);
    return { pool };
  }
  const secondary = report.images.filter((one) => !one.is_primary);
  if (secondary.length > 0) {
    const names = secondary.map((one) => one.image).join(", ");
    throw new MicrocephError(
      "REPLICATION_CONFLICT",
      `${names} can only be read here: microceph replication promote rbd --remote …, or disable it at the other site`,
      { data: { pool } },
    );
  }
  if (report.images.length > 0 && report.remotes.length > 0 && !confirmed) {
    throw new MicrocephError(
      "DATA_LOSS_UNCONFIRMED",
      `the copies of ${report.images.map(specOf).join(", ")} at ${report.remotes.join(", ")} go, unless they were promoted there`,
    );
  }
  for (const one of report.mode === "image" ? report.images : []) {
    await rbd.text("rbd", ["mirror", "image", "disable", specOf(one)], call);
  }
  const part = async (): Promise<void> => {
    for (const { uuid } of (await infoOf(rbd, pool, call)).peers) {
      await rbd.text("rbd", ["mirror", "pool", "peer", "remove", pool, uuid], call);
    }
    await rbd.text("rbd", ["mirror", "pool", "disable", pool], call);
  };
  // The other site's daemon enters itself as a peer until it sees, within half a minute, that it is to copy no more.
  await whileRefused(["EBUSY"], part, { deadlineMs: handOverMs, intervalMs: lookMs, signal });
  return { pool };
}

/** Copy images anew from the other site; what was written here alone is lost. Throws NOT_FOUND, DATA_LOSS_UNCONFIRMED. */
export async function resyncReplication(
  cluster: ClusterRuntime,
  { pool, image, confirmed }: Shape<typeof resyncRequest>,
  signal: AbortSignal,
): Promise<{ images: string[] }> {
  const report = await replicationOf(cluster, pool, signal);
  const images = report.images.filter(
    (one) => !one.is_primary && (image === undefined || one.image === image),
  );
  if (images.length === 0) {
    throw new MicrocephError("NOT_FOUND", `${image ?? pool} has nothing that is copied from another site`);
  }
  const specs = images.map(specOf);
  if (!confirmed) {
    throw new MicrocephError(
      "DATA_LOSS_UNCONFIRMED",
      `what was written to ${specs.join(", ")} here alone is lost`,
    );
  }
  for (const spec of specs) {
    await here(cluster).text("rbd", ["mirror", "image", "resync", spec], { deadlineMs: callMs, signal });
  }
  return { images: specs };
}

/** Throws NOT_FOUND where nothing is mirrored with that site. */
export async function checkSite(cluster: ClusterRuntime, remote: string, signal: AbortSignal): Promise<void> {
  if ((await mirroredWith(cluster, remote, signal)).length > 0) return;
  throw new MicrocephError("NOT_FOUND", `nothing is mirrored with a site ${remote}`, { data: { remote } });
}

async function mirroredWith(
  cluster: ClusterRuntime,
  remote: string,
  signal: AbortSignal,
): Promise<ReplicatedPool[]> {
  return (await listReplication(cluster, signal)).filter(({ remotes }) => remotes.includes(remote));
}

/**
 * The jobs of `replication promote` and `demote`: every image that is mirrored with that site is, or is not, written
 * here from now on. Run again it does what is left. Fails with REPLICATION_INCOMPLETE when one is left as it was.
 */
export async function turnSite(
  daemon: Daemon,
  to: "promote" | "demote",
  asked: Json,
  tools: JobTools,
): Promise<Json> {
  await daemon.settled();
  const { remote, force } = asked as Shape<typeof siteRequest>;
  const cluster = runtimeOf(daemon);
  await cluster.whenCephAnswers(() => tools.report(0, "waiting for Ceph"), tools.signal);
  const call = { deadlineMs: callMs, signal: tools.signal };
  const rbd = here(cluster);
  const flags = force && to === "promote" ? ["--force"] : [];
  const end = performance.now() + handOverMs;
  const changed = new Set<string>();
  let refused: string[] = [];
  for (;;) {
    const images = (await mirroredWith(cluster, remote, tools.signal)).flatMap((pool) => pool.images);
    const left = images.filter(({ is_primary }) => is_primary !== (to === "promote")).map(specOf);
    if (left.length === 0) {
      const reply: SiteReply = { remote, changed: [...changed].sort() };
      return reply as unknown as Json;
    }
    if (performance.now() > end) {
      const why = (refused.length > 0 ? refused : left).join("; ");
      throw new MicrocephError("REPLICATION_INCOMPLETE", `${to} left some as they were: ${why}`, {
        data: { remote, left: left.length },
      });
    }
    refused = [];
    for (const spec of left) {
      tools.report(Math.round((100 * (images.length - left.length)) / images.length), `${to} ${spec}`);
      await rbd.text("rbd", ["mirror", "image", to, spec, ...flags], call).then(
        () => changed.add(spec),
        (error: unknown) => refused.push(`${spec}: ${messageOf(error)}`),
      );
    }
    // Another site's demotion takes its time to arrive here.
    if (refused.length > 0) await delay(lookMs, undefined, { signal: tools.signal });
  }
}

/** Throws NOT_FOUND, REMOTE_IN_USE. */
export async function removeRemote(
  cluster: ClusterRuntime,
  name: string,
  signal: AbortSignal,
): Promise<RemoteRow> {
  const row = (await listRemotes(cluster, signal)).find((one) => one.name === name);
  if (row === undefined) throw new MicrocephError("NOT_FOUND", `there is no site ${name}`);
  const pools = (await mirroredWith(cluster, name, signal)).map(({ pool }) => pool);
  const files = await listFileReplication(cluster, signal);
  const volumes = files.filter(({ remotes }) => remotes.includes(name)).map(({ volume }) => volume);
  if (pools.length + volumes.length > 0) {
    throw new MicrocephError(
      "REMOTE_IN_USE",
      `${[...pools, ...volumes].join(", ")} is mirrored with ${name}`,
      {
        data: { pools, volumes },
      },
    );
  }
  await forgetRemote(commandsOf(cluster), name, { deadlineMs: callMs, signal });
  return { ...row, imported: false, exported: false };
}
