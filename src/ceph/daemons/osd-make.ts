import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { MicrocephError } from "../../errors/microceph-error.ts";
import { readFileIfPresent, syncDirectory, writeFileAtomic } from "../../files/atomic-file.ts";
import { exists } from "../../files/exists.ts";
import type { OsdId } from "../../ids/ids.ts";
import type { NewOsd } from "../command/commands.ts";
import { renderKeyring } from "../config/keyring.ts";
import { type LuksRole, makeLuksKey } from "../disks/luks.ts";
import { type DaemonDeps, ensureCephFolders } from "./deps.ts";
import { orDiskFull } from "./disk-full.ts";
import { ownersOf, realDevice } from "./disk-owners.ts";
import { checkLoopSpace, measureLoopSpace } from "./loop-space.ts";
import { backingFile, listLocalOsds, readyMarker, startOsd, waitOsdUp } from "./osd.ts";
import { ensureKey, lock, makeEncrypted } from "./osd-encryption.ts";
import { auxSchema, encryptedDevices, type OsdAux, type OsdParts, partsFile } from "./osd-parts.ts";
import { checkOsdSize } from "./osd-size.ts";
import { runBound } from "./run-bound.ts";

/** What an OSD is made of. A device is named by a path that stays the same over reboots. */
export type OsdSource =
  | { readonly kind: "loop"; readonly bytes: number }
  | {
      readonly kind: "device";
      readonly path: string;
      readonly bytes: number;
      /** The file behind a loop device: it is attached again after a boot. */
      readonly backingFile?: string | null | undefined;
    };

const planSchema = z.object({
  v: z.literal(1),
  uuid: z.uuid(),
  wal: auxSchema.nullish(),
  db: auxSchema.nullish(),
  /** Whether what its own device holds is encrypted. The key is never here: the monitors keep it. */
  encrypt: z.boolean().optional(),
  source: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("loop"), bytes: z.int().positive() }),
    z.object({
      kind: z.literal("device"),
      path: z.string().min(1).max(4096),
      bytes: z.int().positive(),
      backingFile: z.string().max(4096).nullish(),
    }),
  ]),
});

/** An OSD that is being made, as it is kept on disk until it is finished. No key of it is there. */
export type OsdPlan = Readonly<z.infer<typeof planSchema>>;

export type OsdStep = "registering" | "formatting" | "starting" | "up";

export interface MakeOsdOptions {
  readonly uuid: string;
  /** `CephCommands.osdNew`: gives the same for the same uuid. */
  readonly register: (uuid: string) => Promise<NewOsd>;
  /** Awaited before the device is written to; what it throws ends the run with nothing written. */
  readonly confirm?: () => Promise<void>;
  readonly onStep?: (step: OsdStep, osd: OsdId | null) => void;
  readonly signal?: AbortSignal;
  /** Milliseconds to wait for `up`; default 60 s. */
  readonly upDeadlineMs?: number;
}

const mkfsDeadlineMs = 300_000;
const planFile = "plan.json";
const planFolder = /^new-([0-9a-f-]{36})$/;

/**
 * Choose and persist what an OSD is to be, before anything of it exists: from here on it is completed by
 * `makeOsd`, however often that is interrupted. The same uuid gives the same plan. `checkDevice` is asked
 * once for each device, now: a later look would find our own half-written label. Throws DISK_TOO_SMALL,
 * DISK_FULL, DISK_IN_USE.
 */
export function planOsd(
  deps: DaemonDeps,
  wanted: {
    readonly uuid: string;
    readonly source: OsdSource;
    readonly wal?: OsdAux | null;
    readonly db?: OsdAux | null;
    readonly encrypt?: boolean;
  },
  checkDevice: (path: string, part: "block" | "wal" | "db") => Promise<void>,
): Promise<OsdPlan> {
  const { uuid, source, wal = null, db = null, encrypt = false } = wanted;
  return orDiskFull("another OSD", async () => {
    await ensureCephFolders(deps.paths);
    const existing = await readPlan(deps, uuid);
    if (existing) return existing;
    checkOsdSize(source.bytes, source.kind === "loop" ? "the loop file" : source.path);
    const parts = { source, wal, db };
    await checkNotTaken(deps, uuid, parts);
    if (source.kind === "device") await checkDevice(source.path, "block");
    if (wal !== null) await checkDevice(wal.path, "wal");
    if (db !== null) await checkDevice(db.path, "db");
    const plan = planSchema.parse({ v: 1, uuid, source, wal, db, encrypt });
    const work = workFolder(deps, uuid);
    await mkdir(work, { recursive: true, mode: 0o700 });
    await writeFileAtomic(join(work, planFile), `${JSON.stringify(plan)}\n`);
    await syncDirectory(dirname(work));
    // Once more: of plans that are made at the same time, no two may both find the same room free.
    await checkNotTaken(deps, uuid, parts).catch(async (error: unknown) => {
      await abandonOsdPlan(deps, uuid);
      throw error;
    });
    return plan;
  });
}

/** Throws DISK_FULL or DISK_IN_USE when other OSDs and other plans leave no room, or have the device already. */
async function checkNotTaken(
  deps: DaemonDeps,
  uuid: string,
  {
    source,
    wal,
    db,
  }: { readonly source: OsdSource; readonly wal: OsdAux | null; readonly db: OsdAux | null },
): Promise<void> {
  const plans = (await listOsdPlans(deps)).filter((plan) => plan.uuid !== uuid);
  const paths = [source.kind === "device" ? source.path : null, wal?.path ?? null, db?.path ?? null];
  for (const path of paths) if (path !== null) await checkNotOurs(deps, path, plans);
  if (source.kind === "device") return;
  const space = await measureLoopSpace(deps.paths);
  let promisedBytes = space.promisedBytes;
  for (const plan of plans) {
    const made = await exists(join(workFolder(deps, plan.uuid), backingFile));
    if (plan.source.kind === "loop" && !made) promisedBytes += plan.source.bytes;
  }
  checkLoopSpace({ ...space, promisedBytes }, source.bytes);
}

/** Who of this node's OSDs, finished or being made, has a device: by its real path. */
export async function diskOwners(deps: Pick<DaemonDeps, "paths">): Promise<Map<string, string>> {
  return ownersOf(await listLocalOsds(deps), await listOsdPlans(deps));
}

/** Plans that are not finished: after a crash each is to be given to `makeOsd` again. */
export async function listOsdPlans(deps: Pick<DaemonDeps, "paths">): Promise<OsdPlan[]> {
  const plans: OsdPlan[] = [];
  for (const name of await readdir(join(deps.paths.data, "osd")).catch(() => [])) {
    const uuid = planFolder.exec(name)?.[1];
    const plan = uuid === undefined ? undefined : await readPlan(deps, uuid);
    if (plan) plans.push(plan);
  }
  return plans.sort((a, b) => (a.uuid < b.uuid ? -1 : 1));
}

/** Give up a plan that was not finished. Touches no device and no finished OSD. Idempotent. */
export async function abandonOsdPlan(deps: Pick<DaemonDeps, "paths">, uuid: string): Promise<void> {
  await rm(workFolder(deps, uuid), { recursive: true, force: true });
}

/**
 * Carry out a plan to the end: register, format, start, up. Idempotent; a run that was killed at any step is
 * completed by the next one. All is made in a folder of the plan's own, which becomes `ceph-<id>` in one
 * rename when it is finished. Throws NOT_FOUND without a plan, and what `register` throws.
 */
export async function makeOsd(deps: DaemonDeps, options: MakeOsdOptions): Promise<OsdId> {
  const { uuid, signal, onStep = () => undefined } = options;
  const finished = (await listLocalOsds(deps)).find((osd) => osd.uuid === uuid)?.osd;
  const osd = finished ?? (await registerAndFormat(deps, options));
  onStep("starting", osd);
  await startOsd(deps, osd);
  await waitOsdUp(deps, osd, { deadlineMs: options.upDeadlineMs ?? 60_000, ...(signal ? { signal } : {}) });
  onStep("up", osd);
  return osd;
}

async function registerAndFormat(deps: DaemonDeps, options: MakeOsdOptions): Promise<OsdId> {
  const { uuid, signal } = options;
  const registered = await register(deps, options);
  const { osd } = registered;
  await options.confirm?.();
  options.onStep?.("formatting", osd);
  try {
    await orDiskFull(`osd.${osd}`, () => format(deps, uuid, registered, signal));
  } catch (error) {
    // A mapping that nobody uses would keep the device from being used for anything else.
    const devices = encryptedDevices(partsOf(await requirePlan(deps, uuid)));
    await lock(deps, { osd, uuid, devices }).catch(() => undefined);
    throw error;
  }
  return osd;
}

async function register(deps: DaemonDeps, options: MakeOsdOptions): Promise<NewOsd> {
  const plan = await requirePlan(deps, options.uuid);
  options.onStep?.("registering", null);
  const registered = await options.register(plan.uuid);
  const { osd } = registered;
  const home = deps.paths.dataDir("osd", osd);
  if (await exists(home)) {
    throw new MicrocephError(
      "DISK_IN_USE",
      `${home} holds something else; move it away, then this OSD is completed`,
      { data: { path: home, osd } },
    );
  }
  return registered;
}

async function format(
  deps: DaemonDeps,
  uuid: string,
  { osd, key }: NewOsd,
  signal: AbortSignal | undefined,
): Promise<void> {
  const plan = await requirePlan(deps, uuid);
  const work = workFolder(deps, uuid);
  const home = deps.paths.dataDir("osd", osd);
  await emptyFolder(work);
  const mapped = await encryptParts(deps, osd, plan);
  if (plan.source.kind === "loop") await makeSparseFile(join(work, backingFile), plan.source.bytes);
  // Relative for the loop file, so that the state directory can be moved.
  const own = plan.source.kind === "loop" ? backingFile : plan.source.path;
  await symlink(mapped.get("osd") ?? own, join(work, "block"));
  if (plan.wal) await symlink(mapped.get("osd.wal") ?? plan.wal.path, join(work, "block.wal"));
  if (plan.db) await symlink(mapped.get("osd.db") ?? plan.db.path, join(work, "block.db"));
  await writeFileAtomic(join(work, partsFile), `${JSON.stringify(partsOf(plan))}\n`);
  await writeFileAtomic(join(work, "keyring"), renderKeyring([{ entity: `osd.${osd}`, key }]));
  await runBound(
    deps,
    "ceph-osd",
    [
      "--mkfs",
      ...["-i", String(osd), "--osd-uuid", uuid, "-c", deps.paths.cephConf],
      ...["--osd-data", work, "--osd-objectstore", "bluestore", "--no-mon-config"],
      // Checking an empty store takes as long as making it, and the OSD opens it next anyway.
      "--bluestore-fsck-on-mkfs=false",
      // It closes its devices several times, and waits as long each time.
      "--bdev-aio-poll-ms=1",
    ],
    { deadlineMs: mkfsDeadlineMs, secrets: [key], ...(signal ? { signal } : {}) },
  );
  if ((await readFile(join(work, "fsid"), "utf8").catch(() => "")).trim() !== uuid) {
    throw new MicrocephError("PROGRAM_FAILED", `ceph-osd did not finish the store of osd.${osd}`, {
      data: { program: "ceph-osd", path: work },
    });
  }
  await writeFileAtomic(join(work, readyMarker), "");
  await rename(work, home);
  await syncDirectory(dirname(home));
  await rm(join(home, planFile), { force: true });
}

/** Encrypt what the plan says, and map it; the paths to use, by role. */
async function encryptParts(deps: DaemonDeps, osd: OsdId, plan: OsdPlan): Promise<Map<LuksRole, string>> {
  const mapped = new Map<LuksRole, string>();
  const devices = encryptedDevices(partsOf(plan));
  if (devices.length === 0) return mapped;
  const store = deps.keys();
  if (store === null) throw new MicrocephError("NOT_INITIALIZED", "Ceph is not there yet");
  const key = await ensureKey(store, plan.uuid, () => makeLuksKey(randomBytes));
  for (const device of devices) mapped.set(device.role, await makeEncrypted(deps, osd, device, key));
  return mapped;
}

function partsOf({ source, wal, db, encrypt }: OsdPlan): OsdParts {
  return {
    v: 1,
    backingFile: source.kind === "device" ? (source.backingFile ?? null) : null,
    wal: wal ?? null,
    db: db ?? null,
    encrypted: encrypt && source.kind === "device" ? source.path : null,
  };
}

/** What an interrupted run left beside the plan: all of it is ours and is made again. */
async function emptyFolder(work: string): Promise<void> {
  for (const name of await readdir(work)) {
    if (name !== planFile) await rm(join(work, name), { recursive: true, force: true });
  }
}

async function makeSparseFile(path: string, bytes: number): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.truncate(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Throws DISK_IN_USE when a finished or planned OSD of this node has this device already. */
async function checkNotOurs(deps: DaemonDeps, path: string, plans: readonly OsdPlan[]): Promise<void> {
  const owner = (await ownersOf(await listLocalOsds(deps), plans)).get(await realDevice(path));
  if (owner === undefined) return;
  throw new MicrocephError("DISK_IN_USE", `${path} is ${owner} already`, { data: { path } });
}

function workFolder(deps: Pick<DaemonDeps, "paths">, uuid: string): string {
  if (!planFolder.test(`new-${uuid}`)) throw new MicrocephError("USAGE", "not an OSD uuid");
  return join(deps.paths.data, "osd", `new-${uuid}`);
}

async function readPlan(deps: Pick<DaemonDeps, "paths">, uuid: string): Promise<OsdPlan | undefined> {
  const path = join(workFolder(deps, uuid), planFile);
  const text = await readFileIfPresent(path);
  if (text === undefined) return undefined;
  try {
    return planSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new MicrocephError("STATE_CORRUPT", `${path} cannot be read`, { data: { path }, cause });
  }
}

async function requirePlan(deps: DaemonDeps, uuid: string): Promise<OsdPlan> {
  const plan = await readPlan(deps, uuid);
  if (!plan) throw new MicrocephError("NOT_FOUND", `there is no plan for an OSD ${uuid}`, { data: { uuid } });
  return plan;
}
