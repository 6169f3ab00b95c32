import { MicrocephError } from "../../errors/microceph-error.ts";
import { parseDiskSpecs } from "./disk-spec.ts";

/** What `disk add` asks for, in MicroCeph's keys. No schema library: the CLI uses it too. */
export interface DiskRequest {
  readonly path?: string | readonly string[] | undefined;
  readonly all_available?: boolean | undefined;
  readonly wipe?: boolean | undefined;
  readonly encrypt?: boolean | undefined;
  readonly waldev?: string | null | undefined;
  readonly walwipe?: boolean | undefined;
  readonly walencrypt?: boolean | undefined;
  readonly dbdev?: string | null | undefined;
  readonly dbwipe?: boolean | undefined;
  readonly dbencrypt?: boolean | undefined;
  readonly osd_match?: string | undefined;
  readonly wal_match?: string | undefined;
  readonly wal_size?: string | undefined;
  readonly db_match?: string | undefined;
  readonly db_size?: string | undefined;
  readonly dry_run?: boolean | undefined;
}

export function pathsOf({ path }: Pick<DiskRequest, "path">): readonly string[] {
  if (path === undefined || path === "") return [];
  return typeof path === "string" ? [path] : path;
}

function refuse(message: string): never {
  throw new MicrocephError("USAGE", message);
}

/** Throws USAGE, in MicroCeph's words, for what cannot go together: nothing of a request is ever ignored. */
export function checkDiskRequest(request: DiskRequest): void {
  const paths = pathsOf(request);
  checkMatch(request, paths);
  const { osd_match: match, all_available: all = false } = request;
  if (!match) {
    if (all && paths.length > 0) refuse("--all-available cannot be used with positional device arguments");
    if (!all && paths.length === 0) refuse("no disk was named");
  }
  const specs = paths.length > 0 ? parseDiskSpecs(paths) : [];
  for (const [device, kind] of [
    [request.waldev, "wal"],
    [request.dbdev, "db"],
  ] as const) {
    if (!device) continue;
    const [spec] = parseDiskSpecs([device]);
    if (spec?.kind !== "device") refuse(`--${kind}-device takes one block device`);
    if (paths.includes(device)) refuse(`${device} cannot be both the OSD and its ${kind.toUpperCase()}`);
  }
  if (request.waldev && request.waldev === request.dbdev) refuse("--wal-device and --db-device are the same");
  const aux = Boolean(request.waldev) || Boolean(request.dbdev);
  if (aux && (all || specs.length !== 1 || specs[0]?.kind !== "device")) {
    refuse(
      "--wal-device and --db-device are only supported with one disk, not with several or with a loop spec",
    );
  }
  if (specs[0]?.kind === "loop") {
    if (request.encrypt) refuse("a loop spec does not support encryption");
    if (request.wipe) refuse("a loop spec has nothing to wipe");
  }
}

function checkMatch(request: DiskRequest, paths: readonly string[]): void {
  const { osd_match: osd, wal_match: wal, wal_size: walSize, db_match: db, db_size: dbSize } = request;
  const matches = Boolean(osd || wal || db || walSize || dbSize || request.dry_run);
  const needs = (given: unknown, needed: unknown, what: string, need: string): void => {
    if (given && !needed) refuse(`${what} requires ${need}`);
  };
  needs(wal, osd, "--wal-match", "--osd-match");
  needs(db, osd, "--db-match", "--osd-match");
  needs(wal, walSize, "--wal-match", "--wal-size");
  needs(db, dbSize, "--db-match", "--db-size");
  needs(walSize, wal, "--wal-size", "--wal-match");
  needs(dbSize, db, "--db-size", "--db-match");
  needs(request.dry_run, osd, "--dry-run", "--osd-match");
  if (matches && paths.length > 0) {
    refuse("--osd-match/--wal-match/--db-match cannot be used with positional device arguments");
  }
  if (matches && request.all_available) {
    refuse("--osd-match/--wal-match/--db-match cannot be used with --all-available");
  }
  if (matches && (request.waldev || request.dbdev)) {
    refuse("--wal-device and --db-device are not supported with DSL matching");
  }
  needs(request.walencrypt, wal || request.waldev, "--wal-encrypt", "--wal-match or --wal-device");
  needs(request.walwipe, wal || request.waldev, "--wal-wipe", "--wal-match or --wal-device");
  needs(request.dbencrypt, db || request.dbdev, "--db-encrypt", "--db-match or --db-device");
  needs(request.dbwipe, db || request.dbdev, "--db-wipe", "--db-match or --db-device");
}
