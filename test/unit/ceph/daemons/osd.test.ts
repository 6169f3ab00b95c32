import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { mkdir, readFile, readlink, stat, statfs, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { NewOsd } from "../../../../src/ceph/command/commands.ts";
import { makeCephKey } from "../../../../src/ceph/config/keyring.ts";
import { checkLoopSpace } from "../../../../src/ceph/daemons/loop-space.ts";
import { listLocalOsds } from "../../../../src/ceph/daemons/osd.ts";
import {
  abandonOsdPlan,
  listOsdPlans,
  type MakeOsdOptions,
  makeOsd,
  type OsdSource,
  planOsd,
} from "../../../../src/ceph/daemons/osd-make.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import { type OsdId, osdId } from "../../../../src/ids/ids.ts";
import { after, type FakeNode, fakeNode, nothing } from "./fake-node.ts";

const key = makeCephKey((size) => new Uint8Array(size), 0);
const gib = 1024 ** 3;
const loop: OsdSource = { kind: "loop", bytes: gib };

let node: FakeNode;
let uuid: string;
/** What Ceph has given out: the same id for the same uuid. */
let registered: string[];
/** Name of the step at which the process "dies". */
let diesAt: string | null;
const sockets: Server[] = [];

beforeEach(async () => {
  uuid = randomUUID();
  registered = [];
  diesAt = null;
  node = await fakeNode(async (_program, args) => {
    const home = after(args, "--osd-data");
    if (diesAt === "before mkfs") throw new Error("killed");
    // It refuses what it finds half made, as the real one does with another uuid's files.
    await writeFile(join(home, "superblock"), "", { flag: "wx" });
    if (diesAt === "inside mkfs") throw new Error("killed");
    await writeFile(join(home, "fsid"), `${after(args, "--osd-uuid")}\n`);
    if (diesAt === "after mkfs") throw new Error("killed");
    await answer(osdId(Number(after(args, "-i"))));
    return nothing;
  });
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close();
  await node.remove();
});

/** The admin socket of an OSD that is up. */
async function answer(osd: OsdId): Promise<void> {
  const text = '{"state":"active"}';
  const server = createServer((socket) => {
    socket.once("data", () => {
      const head = Buffer.alloc(4);
      head.writeUInt32BE(text.length);
      socket.end(Buffer.concat([head, Buffer.from(text)]));
    });
  });
  sockets.push(server);
  await new Promise<void>((ready) => server.listen(node.deps.paths.adminSocket("osd", osd), ready));
}

const register = async (each: string): Promise<NewOsd> => {
  if (diesAt === "before registering") throw new Error("killed");
  if (!registered.includes(each)) registered.push(each);
  if (diesAt === "after registering") throw new Error("killed");
  return { osd: osdId(registered.indexOf(each)), key };
};
const plan = (source: OsdSource = loop, check: (path: string) => Promise<void> = async () => undefined) =>
  planOsd(node.deps, { uuid, source }, check);
const make = (options: Partial<MakeOsdOptions> = {}): Promise<OsdId> =>
  makeOsd(node.deps, { uuid, register, upDeadlineMs: 5000, ...options });

describe("making an OSD", () => {
  it("goes through its steps and leaves what MicroCeph's integrations look for", async () => {
    await plan();
    const steps: string[] = [];
    expect(await make({ onStep: (step, osd) => steps.push(`${step} ${osd}`) })).toBe(0);
    expect(steps).toEqual(["registering null", "formatting 0", "starting 0", "up 0"]);
    const home = node.deps.paths.dataDir("osd", 0);
    expect(await readlink(join(home, "block"))).toBe("osd-backing.img");
    const file = await stat(join(home, "osd-backing.img"));
    expect(file.size).toBe(gib);
    expect(file.blocks).toBe(0);
    expect(await readFile(join(home, "keyring"), "utf8")).toBe(`[osd.0]\n\tkey = ${key}\n`);
    expect((await stat(join(home, "keyring"))).mode & 0o777).toBe(0o600);
    await expect(stat(join(home, "plan.json"))).rejects.toThrow();
    expect([...node.units.keys()]).toEqual(["osd.0"]);
    expect(await listLocalOsds(node.deps)).toEqual([
      {
        osd: 0,
        uuid,
        path: join(home, "osd-backing.img"),
        kind: "loop",
        encrypted: false,
        bytes: gib,
        wal: null,
        db: null,
        stopped: false,
      },
    ]);
  });

  it.each(["before registering", "after registering", "before mkfs", "inside mkfs", "after mkfs"])(
    "is completed as the same OSD after a death %s",
    async (step) => {
      await plan();
      diesAt = step;
      await expect(make()).rejects.toThrow("killed");
      expect(await listLocalOsds(node.deps)).toEqual([]);
      expect(node.units.size).toBe(0);
      expect(await listOsdPlans(node.deps)).toMatchObject([{ uuid, source: loop }]);
      diesAt = null;
      expect(await make()).toBe(0);
      expect(registered).toEqual([uuid]);
      expect(await listOsdPlans(node.deps)).toEqual([]);
    },
  );

  it("a second time only starts it", async () => {
    await plan();
    await make();
    node.units.clear();
    const before = node.calls.length;
    expect(await make()).toBe(0);
    expect(node.calls).toHaveLength(before);
    expect([...node.units.keys()]).toEqual(["osd.0"]);
  });

  it("writes nothing when the confirmation fails", async () => {
    await plan();
    const confirm = async (): Promise<void> => {
      throw new Error("overtaken");
    };
    await expect(make({ confirm })).rejects.toThrow("overtaken");
    expect(node.calls).toEqual([]);
  });

  it("stops before a folder that holds something else", async () => {
    await plan();
    await mkdir(node.deps.paths.dataDir("osd", 0), { recursive: true });
    await expect(make()).rejects.toMatchObject({ code: "DISK_IN_USE" });
    expect(node.calls).toEqual([]);
  });

  it("is refused without a plan, or with one that cannot be read", async () => {
    await expect(make()).rejects.toMatchObject({ code: "NOT_FOUND" });
    await plan();
    await writeFile(join(node.deps.paths.data, "osd", `new-${uuid}`, "plan.json"), "{");
    await expect(make()).rejects.toMatchObject({ code: "STATE_CORRUPT" });
    await abandonOsdPlan(node.deps, uuid);
    await abandonOsdPlan(node.deps, uuid);
    await expect(make()).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(make({ uuid: "../../etc" })).rejects.toMatchObject({ code: "USAGE" });
  });
});

describe("planning an OSD", () => {
  it("keeps the first plan of a uuid", async () => {
    await plan();
    expect(await plan({ kind: "loop", bytes: 2 * gib })).toMatchObject({ source: loop });
  });

  it.each<[OsdSource, string]>([
    [{ kind: "loop", bytes: 512 * 1024 ** 2 - 1 }, "DISK_TOO_SMALL"],
    [{ kind: "loop", bytes: 2 ** 60 }, "DISK_FULL"],
    [{ kind: "device", path: "/dev/x", bytes: 1024 }, "DISK_TOO_SMALL"],
  ])("refuses %j with %s and leaves nothing", async (source, code) => {
    await expect(plan(source)).rejects.toMatchObject({ code });
    expect(await listOsdPlans(node.deps)).toEqual([]);
  });

  it("refuses plans made at the same time that do not fit together", async () => {
    const { bavail, bsize } = await statfs(node.deps.paths.state);
    // Each alone would fit.
    const bytes = Math.floor((bavail * bsize * 0.6) / 4096) * 4096;
    const plans = [randomUUID(), randomUUID()].map((each) =>
      planOsd(node.deps, { uuid: each, source: { kind: "loop", bytes } }, async () => undefined),
    );
    const results = await Promise.allSettled(plans);
    const made = results.filter(({ status }) => status === "fulfilled");
    expect(made.length).toBeLessThan(2);
    expect(await listOsdPlans(node.deps)).toHaveLength(made.length);
  });

  it("says that the disk is full when writing or mkfs finds it so", async () => {
    await plan();
    const full: FakeNode["deps"] = {
      ...node.deps,
      run: async () => {
        throw new MicrocephError("PROGRAM_FAILED", "ceph-osd ended with 1: (28) No space left on device");
      },
    };
    await expect(makeOsd(full, { uuid, register })).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(await make()).toBe(0);
  });

  it("looks at a device once, before anything is kept", async () => {
    const device: OsdSource = { kind: "device", path: "/dev/x", bytes: gib };
    const refuse = async (): Promise<void> => {
      throw new Error("not empty");
    };
    await expect(plan(device, refuse)).rejects.toThrow("not empty");
    expect(await listOsdPlans(node.deps)).toEqual([]);
    await plan(device);
    await plan(device, refuse);
    uuid = randomUUID();
    await expect(plan(device)).rejects.toThrow("being made an OSD already");
  });
});

describe("room for loop files", () => {
  it.each([
    // 10 GiB free, 2 promised to sparse files, half kept: 7.5 are left.
    [7.5, true],
    [7.6, false],
  ])("%d GiB fit: %s", (wanted, fits) => {
    const check = (): void =>
      checkLoopSpace({ freeBytes: 10 * gib, promisedBytes: 2 * gib }, Math.floor(wanted * gib));
    if (fits) expect(check).not.toThrow();
    else expect(check).toThrow("loop files of 7.6 GiB do not fit: 7.5 GiB are free");
  });
});
