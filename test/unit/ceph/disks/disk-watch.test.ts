import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, it } from "vitest";
import { DiskWatch } from "../../../../src/ceph/disks/disk-watch.ts";

let dev: string;
let watch: DiskWatch;
let changed: () => void;
/** Resolves at the next change that is told. */
const next = (): Promise<void> =>
  new Promise((resolve) => {
    changed = resolve;
  });

beforeEach(async () => {
  dev = await mkdtemp(join(tmpdir(), "dev-"));
  watch = new DiskWatch({ dev }, { log: pino({ level: "silent" }), onChange: () => changed() });
  watch.start();
});
afterEach(async () => {
  watch.stop();
  await rm(dev, { recursive: true });
});

it("tells of what comes and goes in /dev, and in folders of names that come later", async () => {
  let told = next();
  await writeFile(join(dev, "sdb"), "");
  await told;
  told = next();
  await mkdir(join(dev, "disk/by-id"), { recursive: true });
  await told;
  told = next();
  await writeFile(join(dev, "disk/by-id/scsi-1"), "");
  await told;
  told = next();
  await rm(join(dev, "sdb"));
  await told;
});
