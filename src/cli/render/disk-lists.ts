import type { ConfiguredDisk, DiskReport, InventoryDisk, NodeInventory } from "../../api/contract/disks.ts";
import { borderedTable, type Table } from "./table.ts";
import { bytes, naturally } from "./words.ts";

interface ListedDisk {
  readonly Model: string;
  readonly Size: string;
  readonly Type: string;
  readonly Path: string;
}

/** `microceph disk list`: the first two keys are what MicroCeph's `--json` carries. */
export interface DiskList {
  readonly ConfiguredDisks: readonly ConfiguredDisk[];
  /** Of the asked node only, as in MicroCeph: a script adds these by their paths. */
  readonly AvailableDisks: readonly ListedDisk[];
  /** Of the other members. */
  readonly RemoteDisks: readonly (ListedDisk & { readonly Location: string })[];
  readonly UnavailableDisks: readonly (ListedDisk & {
    readonly Location: string;
    readonly Reasons: readonly string[];
    /** With `--wipe` it could be added. */
    readonly Wipeable: boolean;
  })[];
}

/** The first of the inventories is that of the asked node. */
export function diskList(
  configured: readonly ConfiguredDisk[],
  inventories: readonly NodeInventory[],
  hostOnly: boolean,
): DiskList {
  const [own, ...others] = inventories;
  const shown = hostOnly ? inventories.slice(0, 1) : inventories;
  return {
    ConfiguredDisks: configured
      .filter(({ location }) => !hostOnly || location === own?.location)
      .sort((a, b) => a.osd - b.osd),
    AvailableDisks: ordered(own?.disks ?? [], true).map(listed),
    RemoteDisks: (hostOnly ? [] : others).flatMap(({ location, disks }) =>
      ordered(disks, true).map((disk) => ({ ...listed(disk), Location: location })),
    ),
    UnavailableDisks: shown.flatMap(({ location, disks }) =>
      // What is an OSD stands among the configured ones.
      ordered(disks, false)
        .filter(({ reasons }) => !reasons.some((reason) => /^is osd\.[0-9]+ already$/.test(reason)))
        .map((disk) => ({
          ...listed(disk),
          Location: location,
          Reasons: [...disk.reasons],
          Wipeable: disk.wipeable,
        })),
    ),
  };
}

function ordered(disks: readonly InventoryDisk[], available: boolean): InventoryDisk[] {
  return disks.filter((disk) => disk.available === available).sort((a, b) => naturally(a.path, b.path));
}

function listed({ model, sizeBytes, type, path }: InventoryDisk): ListedDisk {
  return { Model: model, Size: bytes(sizeBytes), Type: type, Path: path };
}

/** MicroCeph's text of it, then what MicroCeph does not tell, where there is something to tell. */
export function diskListText(list: DiskList): string {
  const parts = [
    `Disks configured in MicroCeph:\n${borderedTable(
      ["OSD", "LOCATION", "PATH"],
      list.ConfiguredDisks.map(({ osd, location, path }) => [String(osd), location, path]),
    )}`,
    `Available unpartitioned disks on this system:\n${borderedTable(
      ["MODEL", "CAPACITY", "TYPE", "PATH"],
      list.AvailableDisks.map(({ Model, Size, Type, Path }) => [Model, Size, Type, Path]),
    )}`,
  ];
  if (list.RemoteDisks.length > 0) {
    const rows = list.RemoteDisks.map(({ Location, Model, Size, Type, Path }) => [
      ...[Location, Model, Size, Type, Path],
    ]);
    parts.push(
      `Available disks on other members:\n${borderedTable(["LOCATION", "MODEL", "CAPACITY", "TYPE", "PATH"], rows)}`,
    );
  }
  if (list.UnavailableDisks.length > 0) {
    const rows = list.UnavailableDisks.map(({ Location, Size, Path, Reasons, Wipeable }) => [
      ...[Location, Size, Path, `${Reasons.join("; ")}${Wipeable ? " (--wipe erases it)" : ""}`],
    ]);
    parts.push(
      `Disks that are not available:\n${borderedTable(["LOCATION", "CAPACITY", "PATH", "WHY"], rows)}`,
    );
  }
  const troubled = list.ConfiguredDisks.filter(
    ({ state, reason }) => reason !== undefined || (state !== undefined && state !== "running"),
  );
  if (troubled.length > 0) {
    const rows = troubled.map(({ osd, location, state = "", reason = "" }) => [
      ...[String(osd), location, state, reason],
    ]);
    parts.push(`OSDs that need a look:\n${borderedTable(["OSD", "LOCATION", "STATE", "REASON"], rows)}`);
  }
  return parts.join("\n");
}

/** What became of the disks of one `disk add`. */
export function diskReportTable({ report }: DiskReport): Table {
  return { header: ["PATH", "STATUS"], rows: report.map(({ path, report: status }) => [path, status]) };
}

type PlannedPartition = NonNullable<NonNullable<DiskReport["dryRun"]>["plan"][number]["wal"]>;

/** A dry run in MicroCeph's JSON: devices alone, or each OSD with its partitions. */
export function dryRunData({ report, dryRun }: DiskReport): object {
  const { devices, plan } = dryRun ?? { devices: [], plan: [] };
  const partition = (one: PlannedPartition | null): object | undefined =>
    one === null
      ? undefined
      : {
          kind: one.kind,
          parent_path: one.parent,
          partition: one.number,
          size: bytes(one.sizeBytes),
          ...(one.action === "reset" ? { reset_before_use: true } : {}),
        };
  const withPartitions = plan.some(({ wal, db }) => wal !== null || db !== null);
  return {
    validation_error: "",
    report: [...report],
    ...(withPartitions
      ? {
          dry_run_plan: plan.map(({ path, wal, db }) => ({
            osd_path: path,
            ...(wal === null ? {} : { wal: partition(wal) }),
            ...(db === null ? {} : { db: partition(db) }),
          })),
        }
      : {
          dry_run_devices: devices.map(({ path, model, vendor, type, sizeBytes }) => ({
            path,
            model,
            size: bytes(sizeBytes),
            type,
            vendor,
          })),
        }),
  };
}

export function dryRunText({ dryRun }: DiskReport): string {
  const { devices, plan } = dryRun ?? { devices: [], plan: [] };
  const kinds = (["wal", "db"] as const).filter((kind) => plan.some((one) => one[kind] !== null));
  if (kinds.length === 0) {
    return borderedTable(
      ["PATH", "MODEL", "SIZE", "TYPE"],
      devices.map(({ path, model, sizeBytes, type }) => [path, model, bytes(sizeBytes), type]),
    );
  }
  const header = kinds.flatMap((kind) => {
    const name = kind.toUpperCase();
    return [`${name} PARENT`, `${name} PART#`, `${name} SIZE`, `${name} ACTION`];
  });
  return borderedTable(
    ["OSD", ...header],
    plan.map((one) => [
      one.path,
      ...kinds.flatMap((kind) => {
        const part = one[kind];
        return part === null
          ? ["", "", "", ""]
          : [part.parent, String(part.number), bytes(part.sizeBytes), part.action];
      }),
    ]),
  );
}
