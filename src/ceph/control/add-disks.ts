import { type OsdId, osdId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { CephCommands } from "../command/commands.ts";
import type { DaemonDeps } from "../daemons/deps.ts";
import { listLocalOsds } from "../daemons/osd.ts";
import { abandonOsdPlan, makeOsd, type OsdSource, type OsdStep, planOsd } from "../daemons/osd-make.ts";
import type { OsdAux } from "../daemons/osd-parts.ts";
import { encryptionSupport, notSupported } from "../disks/luks.ts";
import { type AddRequestDraft, addRequest } from "./add-request.ts";
import { type CarrierDeps, carrierKeys, dropAux, prepareCarrier, realizeAux } from "./carriers.ts";
import { type ChooseDeps, type ChosenDisk, chooseDisks, type DiskResult, failure } from "./choose-disks.ts";
import { type WantedDisks, type WantedOsd, wantedDisks } from "./wanted-disks.ts";

export interface AddDisksDeps extends ChooseDeps, CarrierDeps {
  readonly daemons: DaemonDeps;
  readonly ceph: () => CephCommands;
  /** Runs one at a time for each key. */
  readonly exclusive: <T>(keys: readonly string[], act: () => Promise<T>) => Promise<T>;
  readonly onUp: (osd: OsdId) => void;
}

export interface AddDisksTools {
  readonly signal: AbortSignal;
  readonly memory: Json;
  remember(memory: Json): void;
  report(progress: number, step: string): void;
}

export interface AddDisksResult {
  readonly report: DiskResult[];
  /** Only of a dry run: what would be made. */
  readonly dryRun?: { readonly devices: readonly ChosenDisk[]; readonly plan: readonly PlannedOsd[] };
}

export interface PlannedOsd {
  readonly path: string;
  readonly wal: PlannedPartition | null;
  readonly db: PlannedPartition | null;
}

export interface PlannedPartition {
  readonly kind: "wal" | "db";
  readonly parent: string;
  readonly number: number;
  readonly sizeBytes: number;
  readonly action: "new" | "append" | "reset";
}

/** Registering can be repeated, so a slow machine gets the time it needs. */
const registerMs = 60_000;
const stepShare: Readonly<Record<OsdStep, number>> = {
  registering: 5,
  formatting: 20,
  starting: 60,
  up: 100,
};

/** Held while disks are chosen by what they are, until each is written down as taken: two choices never overlap. */
const choiceKey = "choice";

/**
 * Make the OSDs of one call side by side; one that fails does not stop the others. What is to be made, with its
 * partitions, is remembered first, so a crash at any step is completed by running the job again.
 */
export async function addDisks(
  draft: AddRequestDraft,
  deps: AddDisksDeps,
  tools: AddDisksTools,
): Promise<AddDisksResult> {
  const request = addRequest.parse(draft);
  if (request.encrypt || request.wal?.encrypt || request.db?.encrypt) {
    const support = await encryptionSupport(deps);
    if (!support.supported) throw notSupported(support.reason);
  }
  if (request.dryRun) return dryRun(await chooseDisks(request, deps));
  const byWhat = request.osdMatch !== null || request.allAvailable;
  return deps
    .exclusive(byWhat ? [choiceKey] : [], async () => {
      const chosen = await remembered(tools, () => chooseDisks(request, deps));
      const works = await start(chosen, request, deps, tools);
      await Promise.allSettled(works.map(({ taken }) => taken));
      return { chosen, works };
    })
    .then(async ({ chosen, works }) => {
      // Only when all have ended: a stopping daemon must not leave one behind that still writes.
      const results = await Promise.allSettled(works.map(({ done }) => done));
      return { report: [...chosen.refused, ...results.map(resultOf)] };
    });
}

function resultOf<T>(result: PromiseSettledResult<T>): T {
  if (result.status === "rejected") throw result.reason;
  return result.value;
}

/** What an earlier run chose, else a choice of now, on disk before anything is made of it. */
async function remembered(tools: AddDisksTools, choose: () => Promise<WantedDisks>): Promise<WantedDisks> {
  const before = wantedDisks.safeParse(tools.memory);
  if (before.success) return before.data;
  const { wanted, refused, carriers } = await choose();
  const memory: WantedDisks = { wanted, refused, carriers };
  tools.remember(memory as unknown as Json);
  return memory;
}

/** `taken` ends when the OSD's devices are written down as its own; `done` with the OSD. */
interface Work {
  readonly taken: Promise<unknown>;
  readonly done: Promise<DiskResult>;
}

async function start(
  { wanted, carriers }: WantedDisks,
  request: WipeRequest,
  deps: AddDisksDeps,
  tools: AddDisksTools,
): Promise<Work[]> {
  const tell = progressTeller(wanted, tools);
  const ready = new Map(
    carriers.map((carrier) => [
      carrier.path,
      deps.exclusive([carrier.path], () => prepareCarrier(carrier, deps)),
    ]),
  );
  for (const prepared of ready.values()) prepared.catch(() => undefined);
  return wanted.map((osd): Work => {
    const taken = take(osd, ready, request, deps);
    taken.catch(() => undefined);
    const done = make(osd, taken, deps, tools, (step, id) => tell(osd, step, id));
    done.catch(() => undefined);
    return { taken, done };
  });
}

/** One line for what happened last, and how many of all are up. */
function progressTeller(
  wanted: readonly WantedOsd[],
  tools: AddDisksTools,
): (osd: WantedOsd, step: OsdStep, id: OsdId | null) => void {
  const progress = new Map(wanted.map(({ uuid }) => [uuid, 0]));
  return (osd, step, id) => {
    progress.set(osd.uuid, stepShare[step]);
    const shares = [...progress.values()];
    const total = shares.reduce((sum, share) => sum + share, 0) / shares.length;
    const up = shares.filter((share) => share === stepShare.up).length;
    const count = shares.length === 1 ? "" : ` (${up} of ${shares.length} up)`;
    tools.report(Math.floor(total), `${osd.spec}: ${id === null ? "" : `osd.${id} `}${step}${count}`);
  };
}

type WipeRequest = {
  readonly wipe: boolean;
  readonly encrypt: boolean;
  readonly wal: { readonly wipe: boolean; readonly encrypt: boolean } | null;
  readonly db: { readonly wipe: boolean; readonly encrypt: boolean } | null;
};

/** Make the partitions of an OSD and write its plan, after which its devices are taken. Idempotent. */
async function take(
  osd: WantedOsd,
  ready: ReadonlyMap<string, Promise<void>>,
  request: WipeRequest,
  deps: AddDisksDeps,
): Promise<void> {
  // Run again after a crash, a finished OSD needs no plan: its own device would be found in use.
  if (await isFinished(osd.uuid, deps)) return;
  const wipes = { block: request.wipe, wal: request.wal?.wipe ?? false, db: request.db?.wipe ?? false };
  for (const key of carrierKeys(osd)) await ready.get(key);
  const parts = await deps.exclusive(carrierKeys(osd), async () => ({
    wal: encrypted(await realizeAux("wal", osd, osd.wal, deps), request.wal?.encrypt),
    db: encrypted(await realizeAux("db", osd, osd.db, deps), request.db?.encrypt),
  }));
  const { encrypt } = request;
  const source: OsdSource = osd.source;
  const keys = await diskKeys(osd, deps);
  await deps.exclusive(keys, () =>
    planOsd(deps.daemons, { uuid: osd.uuid, source, encrypt, ...parts }, async (path, part) => {
      // What was made for it just now holds at most what lay there before it was made.
      const fresh = part !== "block" && osd[part]?.kind === "partition";
      if (wipes[part] || fresh) await deps.wipe(path);
      await deps.checkDevice(path);
    }),
  );
}

function encrypted(aux: OsdAux | null, wanted: boolean | undefined): OsdAux | null {
  return aux !== null && wanted === true ? { ...aux, encrypted: true } : aux;
}

/** The whole disks that an OSD is made on: of two requests for one of them the second sees what the first took. */
async function diskKeys(osd: WantedOsd, deps: AddDisksDeps): Promise<string[]> {
  const named = [osd.wal, osd.db].flatMap((aux) => (aux?.kind === "device" ? [aux.path] : []));
  const disks = await Promise.all(named.map(async (path) => (await deps.inspect(path)).disk));
  if (osd.source.kind === "device") disks.push(osd.source.disk);
  return disks.map((disk) => `disk ${disk}`);
}

async function make(
  osd: WantedOsd,
  taken: Promise<void>,
  deps: AddDisksDeps,
  tools: AddDisksTools,
  onStep: (step: OsdStep, osd: OsdId | null) => void,
): Promise<DiskResult> {
  try {
    await taken;
    const id = await makeOsd(deps.daemons, {
      uuid: osd.uuid,
      register: (uuid) => {
        const call = { deadlineMs: registerMs, signal: tools.signal };
        return deps.ceph().osdNew(uuid, osd.osd === null ? call : { ...call, id: osdId(osd.osd) });
      },
      onStep,
      signal: tools.signal,
    });
    deps.onUp(id);
    return { path: osd.spec, report: "Success", error: "" };
  } catch (error) {
    if (tools.signal.aborted) throw error;
    // Nobody completes it after this: its devices and its room are free for another try.
    await abandonOsdPlan(deps.daemons, osd.uuid);
    if (!(await isFinished(osd.uuid, deps))) {
      await deps.exclusive(carrierKeys(osd), () => dropAux(osd, deps)).catch(() => undefined);
    }
    return failure(osd.spec, error);
  }
}

async function isFinished(uuid: string, deps: AddDisksDeps): Promise<boolean> {
  return (await listLocalOsds(deps.daemons)).some((osd) => osd.uuid === uuid);
}

function dryRun({ wanted, carriers, devices }: Awaited<ReturnType<typeof chooseDisks>>): AddDisksResult {
  const planned = (kind: "wal" | "db", osd: WantedOsd): PlannedPartition | null => {
    const aux = osd[kind];
    if (aux?.kind !== "partition") return null;
    const action = carriers.find(({ path }) => path === aux.carrier)?.action ?? "append";
    return { kind, parent: aux.carrier, number: aux.number, sizeBytes: aux.bytes, action };
  };
  const plan = wanted.map((osd) => ({
    path: osd.spec,
    wal: planned("wal", osd),
    db: planned("db", osd),
  }));
  return { report: [], dryRun: { devices, plan } };
}
