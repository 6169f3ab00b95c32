import { isMicrocephError, MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { StatedDisk, SurveyedDisk } from "../disks/disks.ts";
import { matches, type PatternTest } from "../disks/match/evaluate.ts";
import { parseMatch } from "../disks/match/parse.ts";
import { type AuxWish, type Carrier, planPartitions } from "../disks/match/plan.ts";
import { allOurs, type PartitionTable } from "../disks/partitions.ts";
import type { AddRequest, AuxRequest } from "./add-request.ts";
import type { WantedAux, WantedCarrier, WantedDisks, WantedOsd } from "./wanted-disks.ts";

export interface DiskResult {
  readonly path: string;
  readonly report: "Success" | "Failure";
  readonly error: string;
  readonly [key: string]: string;
}

export interface ChooseDeps {
  readonly newUuid: () => string;
  /** Facts of a device. Throws when there is no such block device. */
  readonly inspect: (path: string) => Promise<StatedDisk>;
  /** All whole disks of this node. */
  readonly survey: () => Promise<readonly SurveyedDisk[]>;
  readonly readTable: (path: string) => Promise<PartitionTable | undefined>;
  readonly patternTest: PatternTest;
  /** Short name of this node, for `@host`. */
  readonly host: string;
}

/** A disk that an expression or `--all-available` chose. */
export interface ChosenDisk {
  readonly path: string;
  readonly model: string;
  readonly vendor: string;
  readonly type: string;
  readonly sizeBytes: number;
}

export interface Choice extends WantedDisks {
  /** The disks that an expression chose, for a dry run. */
  readonly devices: readonly ChosenDisk[];
}

/** Choose what is to be made; nothing is written. Throws USAGE, DISK_IN_USE and DISK_FULL for what can't be as a whole. */
export async function chooseDisks(request: AddRequest, deps: ChooseDeps): Promise<Choice> {
  if (request.osdMatch !== null) return chooseMatching(request, request.osdMatch, deps);
  if (request.allAvailable) {
    const free = (await deps.survey()).filter(({ reasons }) => reasons.length === 0);
    return plain(free.map((disk) => fromSurvey(disk, deps.newUuid())));
  }
  const wanted: WantedOsd[] = [];
  const refused: (DiskResult & { report: "Failure" })[] = [];
  const wal = await namedAux(request.wal, deps);
  const db = await namedAux(request.db, deps);
  for (const spec of request.specs) {
    try {
      if (spec.kind === "loop") {
        for (let n = 0; n < spec.count; n += 1) {
          const source = { kind: "loop" as const, bytes: spec.bytes };
          wanted.push({ uuid: deps.newUuid(), osd: null, spec: spec.spec, source, wal: null, db: null });
        }
      } else {
        const { path, bytes, disk, backingFile } = await deps.inspect(spec.path);
        if (wanted.some(({ source }) => source.kind === "device" && source.path === path)) {
          throw new MicrocephError("DISK_IN_USE", `${spec.path} is named twice`, { data: { path } });
        }
        const source = { kind: "device" as const, path, bytes, disk, backingFile };
        wanted.push({ uuid: deps.newUuid(), osd: request.replaces, spec: spec.spec, source, wal, db });
      }
    } catch (error) {
      refused.push(failure(spec.spec, error));
    }
  }
  return { wanted, refused, carriers: [], devices: [] };
}

export function failure(path: string, error: unknown): DiskResult & { report: "Failure" } {
  const code = isMicrocephError(error) ? ` [${error.code}]` : "";
  return { path, report: "Failure", error: `${messageOf(error)}${code}` };
}

function plain(wanted: readonly WantedOsd[]): Choice {
  return { wanted: [...wanted], refused: [], carriers: [], devices: [] };
}

function fromSurvey({ device }: SurveyedDisk, uuid: string): WantedOsd {
  const { stablePath, bytes, name, backingFile } = device;
  const source = { kind: "device" as const, path: stablePath, bytes, disk: name, backingFile };
  return { uuid, osd: null, spec: stablePath, source, wal: null, db: null };
}

/** A device that is named for the log or the database of the one OSD. */
async function namedAux(request: AuxRequest | null, deps: ChooseDeps): Promise<WantedAux | null> {
  if (request?.from.kind !== "device") return null;
  return { kind: "device", path: (await deps.inspect(request.from.path)).path };
}

async function chooseMatching(request: AddRequest, osdMatch: string, deps: ChooseDeps): Promise<Choice> {
  const disks = await deps.survey();
  const usable = ({ reasons, wipeable }: SurveyedDisk, wipe: boolean): boolean =>
    reasons.length === 0 || (wipe && wipeable);
  const osds = matching(osdMatch, disks, deps).filter((disk) => usable(disk, request.wipe));
  const wal = await auxWish(request.wal, "wal", disks, osds, deps);
  const db = await auxWish(request.db, "db", disks, osds, deps);
  const plans = planPartitions(
    osds.map(({ device }) => device.stablePath),
    { wal, db },
  );
  const wanted: WantedOsd[] = [];
  const carriers = new Map<string, WantedCarrier>();
  const devices: ChosenDisk[] = [];
  for (const plan of plans) {
    const disk = osds.find(({ device }) => device.stablePath === plan.osd);
    if (disk === undefined) continue;
    const partition = (part: (typeof plan)["wal"]): WantedAux | null => {
      if (part === null) return null;
      const { carrier, action, number, start, bytes } = part;
      if (!carriers.has(carrier)) carriers.set(carrier, { path: carrier, action, table: deps.newUuid() });
      return { kind: "partition", carrier, number, start, bytes, uuid: deps.newUuid() };
    };
    wanted.push({
      ...fromSurvey(disk, deps.newUuid()),
      wal: partition(plan.wal),
      db: partition(plan.db),
    });
    const { stablePath: path, model, vendor, type, bytes: sizeBytes } = disk.device;
    devices.push({ path, model, vendor, type, sizeBytes });
  }
  return { wanted, refused: [], carriers: [...carriers.values()], devices };
}

function matching(expression: string, disks: readonly SurveyedDisk[], deps: ChooseDeps): SurveyedDisk[] {
  const parsed = parseMatch(expression);
  return disks.filter(({ device: { type, vendor, model, bytes, stablePath } }) =>
    matches(
      parsed,
      { type, vendor, model, size: bytes, devnode: stablePath, host: deps.host },
      deps.patternTest,
    ),
  );
}

async function auxWish(
  request: AuxRequest | null,
  kind: "wal" | "db",
  disks: readonly SurveyedDisk[],
  osds: readonly SurveyedDisk[],
  deps: ChooseDeps,
): Promise<AuxWish | null> {
  if (request?.from.kind !== "match") return null;
  const found = matching(request.from.expression, disks, deps);
  const both = found.find((disk) => osds.includes(disk));
  if (both !== undefined) {
    throw new MicrocephError(
      "USAGE",
      `${both.device.stablePath} matches both --osd-match and --${kind}-match: it can be one of them only`,
    );
  }
  const carriers: Carrier[] = [];
  const why: string[] = [];
  for (const disk of found) {
    const carrier = await carrierOf(disk, request.wipe, deps);
    if (typeof carrier === "string") why.push(carrier);
    else carriers.push(carrier);
  }
  if (carriers.length === 0 && osds.length > 0) {
    const text = why.length === 0 ? "no disk matches" : why.join("; ");
    throw new MicrocephError("DISK_IN_USE", `--${kind}-match finds no disk for partitions: ${text}`, {
      data: { kind, why },
    });
  }
  return { carriers, bytes: request.from.bytes };
}

/** A disk as a carrier of partitions, or why it is none. */
async function carrierOf(
  { device, reasons, wipeable, partitioned }: SurveyedDisk,
  wipe: boolean,
  deps: ChooseDeps,
): Promise<Carrier | string> {
  const { stablePath: path, bytes } = device;
  if (reasons.length === 0) return { path, bytes, action: "new", taken: [] };
  if (wipe && wipeable) return { path, bytes, action: "reset", taken: [] };
  const table = partitioned ? await deps.readTable(device.path) : undefined;
  if (table !== undefined && allOurs(table) && !device.readOnly) {
    return { path, bytes, action: "append", taken: table.partitions };
  }
  return `${path} ${reasons.join(", ")}`;
}
