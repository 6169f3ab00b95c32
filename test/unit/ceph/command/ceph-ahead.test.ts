import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CephAhead } from "../../../../src/ceph/command/ceph-ahead.ts";
import { CephChild } from "../../../../src/ceph/command/ceph-child.ts";

/** Waits as sitecustomize.py does when it is told to; then it answers as `ceph -f json` on a pipe. */
const fake = `
if [ -n "$MICROCEPH_CEPH_AHEAD" ]; then echo ahead >>$1/starts; printf $$ >$1/pid; read -r line || exit 0; else echo start >>$1/starts; fi
while read -r line; do
  case $line in
    'osd stat') echo '{"epoch":7,"num_osds":3,"num_up_osds":2,"num_in_osds":2}' ;;
    *) echo "\\"$$\\"" ;;
  esac
done`;

let folder: string;
let ahead: CephAhead;
let child: CephChild;
let argv: readonly [string, ...string[]];
const kept = { maxBytes: 1_000_000, keepMs: 60_000 };
const ask = (): Promise<unknown> => child.run(["who"], { deadlineMs: 20_000 });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ahead-"));
  await writeFile(join(folder, "starts"), "");
  argv = ["sh", "-c", fake, "ceph", folder];
  ahead = new CephAhead();
  child = new CephChild({ argv, ahead }, { log: pino({ level: "silent" }) });
});

afterEach(async () => {
  await child.stop();
  ahead.stop();
  await rm(folder, { recursive: true });
});

const patience = { timeout: 20_000 };
const starts = async (): Promise<string[]> =>
  (await readFile(join(folder, "starts"), "utf8")).split("\n").filter(Boolean);

/** @returns the process that waits */
async function waiting(): Promise<number> {
  return vi.waitFor(async () => Number((await readFile(join(folder, "pid"), "utf8")) || "none"), patience);
}

describe("a ceph that was started ahead", () => {
  it("is the one that answers; after its end there is another", async () => {
    ahead.start(argv, kept);
    ahead.start(argv, kept);
    const first = await ask();
    expect(await starts()).toEqual(["ahead"]);
    expect(await ask()).toBe(first);
    child.reconnect();
    expect(await ask()).not.toBe(first);
    expect(await starts()).toEqual(["ahead", "start"]);
  });

  it("is left where another one is needed", async () => {
    ahead.start(["sh", "-c", fake, "another", folder], kept);
    await waiting();
    await ask();
    expect(await starts()).toEqual(["ahead", "start"]);
  });

  it.each([
    ["when it was not needed in time", { ...kept, keepMs: 1_000 }, () => undefined],
    ["by another's hand", kept, (pid: number) => process.kill(pid, "SIGKILL")],
  ])("is no more once it was ended %s", async (_how, options, end) => {
    ahead.start(argv, options);
    const pid = await waiting();
    end(pid);
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow("ESRCH"), patience);
    expect(await ask()).not.toBe(String(pid));
    expect(await starts()).toEqual(["ahead", "start"]);
  });
});
