import type { ClusterMember } from "../../api/contract/cluster.ts";
import type { AvailableDisk, ConfiguredDisk, DiskReport } from "../../api/contract/disks.ts";
import { borderedTable, type Table } from "./table.ts";
import { bytes, naturally } from "./words.ts";

/** `microceph cluster list`. */
export function clusterTable(members: readonly ClusterMember[]): Table {
  return {
    header: ["NAME", "ADDRESS", "ROLE", "FINGERPRINT", "STATUS"],
    rows: [...members]
      .sort((a, b) => naturally(a.name, b.name))
      .map(({ name, address, role, fingerprint, status }) => [name, address, role, fingerprint, status]),
  };
}

/** `microceph disk list`, what MicroCeph's `--json` carries. */
export interface DiskList {
  readonly ConfiguredDisks: readonly ConfiguredDisk[];
  readonly AvailableDisks: readonly {
    readonly Model: string;
    readonly Size: string;
    readonly Type: string;
    readonly Path: string;
  }[];
}

export function diskList(
  configured: readonly ConfiguredDisk[],
  available: readonly AvailableDisk[],
): DiskList {
  return {
    ConfiguredDisks: [...configured].sort((a, b) => a.osd - b.osd),
    AvailableDisks: [...available]
      .sort((a, b) => naturally(a.path, b.path))
      .map(({ model, sizeBytes, type, path }) => ({
        Model: model,
        Size: bytes(sizeBytes),
        Type: type,
        Path: path,
      })),
  };
}

/** MicroCeph's text of it. */
export function diskListText(list: DiskList): string {
  const configured = borderedTable(
    ["OSD", "LOCATION", "PATH"],
    list.ConfiguredDisks.map(({ osd, location, path }) => [String(osd), location, path]),
  );
  const available = borderedTable(
    ["MODEL", "CAPACITY", "TYPE", "PATH"],
    list.AvailableDisks.map(({ Model, Size, Type, Path }) => [Model, Size, Type, Path]),
  );
  return `Disks configured in MicroCeph:\n${configured}\nAvailable unpartitioned disks on this system:\n${available}`;
}

/** What became of the disks of one `disk add`. */
export function diskReportTable({ report }: DiskReport): Table {
  return { header: ["PATH", "STATUS"], rows: report.map(({ path, report: status }) => [path, status]) };
}
