import { Buffer } from "node:buffer";
import { writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CephCommands } from "../../../../src/ceph/command/commands.ts";
import { makeCephKey } from "../../../../src/ceph/config/keyring.ts";
import { type AddDisksDeps, type AddDisksTools, addDisks } from "../../../../src/ceph/control/add-disks.ts";
import type { AddRequestDraft, DiskSpecInput } from "../../../../src/ceph/control/add-request.ts";
import { listLocalOsds } from "../../../../src/ceph/daemons/osd.ts";
import { listOsdPlans } from "../../../../src/ceph/daemons/osd-make.ts";
import { osdParts } from "../../../../src/ceph/daemons/osd-parts.ts";
import { Exclusive } from "../../../../src/ceph/disks/exclusive.ts";
import { systemRoots } from "../../../../src/ceph/disks/inventory.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import { type OsdId, osdId } from "../../../../src/ids/ids.ts";
import type { Json } from "../../../../src/ids/json.ts";
import { after, type FakeNode, fakeNode, nothing } from "../daemons/fake-node.ts";

const gib = 1024 ** 3;
const key = makeCephKey((size) => new Uint8Array(size), 0);

let node: FakeNode;
let sockets: Server[];
let registered: string[];
/** What happens to an OSD's mkfs, by its number; nothing otherwise. */
let mkfs: (osd: number) => Promise<void>;
let register: () => void;
let up: OsdId[];
let asked: string[];
let uuids: number;
let memory: Json;
let stop: AbortController;
let turns: Exclusive;
let reports: [number, string][];

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

beforeEach(async () => {
  sockets = [];
  registered = [];
  mkfs = async () => undefined;
  register = () => undefined;
  up = [];
  asked = [];
  uuids = 0;
  memory = null;
  stop = new AbortController();
  turns = new Exclusive();
  reports = [];
  node = await fakeNode(async (_program, args) => {
    const home = after(args, "--osd-data");
    const osd = osdId(Number(after(args, "-i")));
    await mkfs(osd);
    await writeFile(join(home, "fsid"), `${after(args, "--osd-uuid")}\n`);
    await answer(osd);
    return nothing;
  });
});
afterEach(async () => {
  for (const socket of sockets) socket.close();
  await node.remove();
});

function deps(change: Partial<AddDisksDeps> = {}): AddDisksDeps {
  return {
    daemons: node.deps,
    ceph: () =>
      ({
        osdNew: async (uuid: string) => {
          register();
          if (!registered.includes(uuid)) registered.push(uuid);
          return { osd: osdId(registered.indexOf(uuid)), key };
        },
      }) as unknown as CephCommands,
    newUuid: () => {
      uuids += 1;
      return `00000000-0000-4000-8000-${String(uuids).padStart(12, "0")}`;
    },
    inspect: async (path) => {
      asked.push(`inspect ${path}`);
      if (path.includes("none")) throw new MicrocephError("NOT_FOUND", `there is no ${path}`);
      return {
        path: path.replace("/dev/", "/stable/"),
        bytes: gib,
        disk: path.replace("/dev/", ""),
        backingFile: null,
      };
    },
    survey: async () => [],
    readTable: async () => undefined,
    patternTest: () => false,
    host: "n1",
    roots: systemRoots,
    run: node.deps.run,
    exclusive: (keys, act) => turns.run(keys, act),
    checkDevice: async (path) => {
      asked.push(`check ${path}`);
      if (path.includes("full")) throw new MicrocephError("DISK_IN_USE", `${path} holds data`);
    },
    wipe: async (path) => void asked.push(`wipe ${path}`),
    onUp: (osd) => void up.push(osd),
    ...change,
  };
}

const tools = (): AddDisksTools => ({
  signal: stop.signal,
  memory,
  remember: (value) => {
    memory = structuredClone(value);
  },
  report: (progress, step) => void reports.push([progress, step]),
});

const add = (specs: readonly DiskSpecInput[], wipe = false, change: Partial<AddDisksDeps> = {}) =>
  ask({ specs: [...specs], wipe }, change);
const ask = (request: AddRequestDraft, change: Partial<AddDisksDeps> = {}) =>
  addDisks(request, deps(change), tools());
const device = (spec: string): DiskSpecInput => ({ kind: "device", spec, path: spec });
const loops = (count: number): DiskSpecInput => ({
  kind: "loop",
  spec: `loop,1G,${count}`,
  bytes: gib,
  count,
});
const success = (path: string) => ({ path, report: "Success", error: "" });

describe("adding disks", () => {
  it("makes each, tells of each, and reports each by the name that the user gave it", async () => {
    expect(await add([device("/dev/a"), device("/dev/b")])).toEqual({
      report: [success("/dev/a"), success("/dev/b")],
    });
    expect([...up].sort()).toEqual([0, 1]);
    expect((await listLocalOsds(node.deps)).map(({ path }) => path).sort()).toEqual([
      "/stable/a",
      "/stable/b",
    ]);
    expect(reports.at(-1)?.[0]).toBe(100);
    for (const [n, [progress]] of reports.entries()) {
      expect(progress, `report ${n}`).toBeGreaterThanOrEqual(reports[n - 1]?.[0] ?? 0);
    }
  });

  it("makes as many loop files as asked for", async () => {
    const { report } = await add([loops(3)]);
    expect(report).toEqual([success("loop,1G,3"), success("loop,1G,3"), success("loop,1G,3")]);
    expect(await listLocalOsds(node.deps)).toHaveLength(3);
  });

  it("wipes only when asked to, and looks at the device after that", async () => {
    await add([device("/dev/a")]);
    expect(asked).toEqual(["inspect /dev/a", "check /stable/a"]);
    asked.length = 0;
    memory = null;
    await add([device("/dev/b")], true);
    expect(asked).toEqual(["inspect /dev/b", "wipe /stable/b", "check /stable/b"]);
  });

  it.each<[string, string, string]>([
    ["that is not there", "/dev/none", "NOT_FOUND"],
    ["with content", "/dev/full", "DISK_IN_USE"],
  ])("goes on with the others after one %s", async (_what, path, code) => {
    const { report } = await add([device("/dev/a"), device(path), device("/dev/b")]);
    const failed = report.filter((one) => one.report === "Failure");
    expect(failed).toMatchObject([{ path, error: expect.stringContaining(`[${code}]`) }]);
    expect(report.filter((one) => one.report === "Success").map((one) => one.path)).toEqual([
      "/dev/a",
      "/dev/b",
    ]);
  });

  it("takes one device under two names once, before it would be wiped under its own OSD", async () => {
    const inspect = async () => ({ path: "/stable/a", bytes: gib, disk: "a", backingFile: null });
    const { report } = await add([device("/dev/a"), device("/dev/disk/a")], true, { inspect });
    expect(report).toEqual([
      { path: "/dev/disk/a", report: "Failure", error: "/dev/disk/a is named twice [DISK_IN_USE]" },
      success("/dev/a"),
    ]);
    expect(asked.filter((what) => what.startsWith("wipe"))).toEqual(["wipe /stable/a"]);
  });

  it("frees a device whose OSD could not be made: it can be added again", async () => {
    register = () => {
      throw new MicrocephError("CEPH_UNREACHABLE", "the monitors do not answer");
    };
    expect(await add([device("/dev/a")])).toMatchObject({ report: [{ report: "Failure" }] });
    expect(await listOsdPlans(node.deps)).toEqual([]);
    register = () => undefined;
    memory = null;
    expect(await add([device("/dev/a")])).toEqual({ report: [success("/dev/a")] });
  });
});

describe("two requests for one disk", () => {
  it("never both wipe it: the second finds it taken", async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const wipe = async (path: string): Promise<void> => {
      asked.push(`wipe ${path}`);
      await gate;
    };
    const both = [add([device("/dev/a")], true, { wipe }), add([device("/dev/a")], true, { wipe })];
    setImmediate(open);
    const results = (await Promise.all(both)).flatMap(({ report }) => report);
    expect(results.map(({ report }) => report).sort()).toEqual(["Failure", "Success"]);
    expect(results.find(({ report }) => report === "Failure")?.error).toMatch(/already \[DISK_IN_USE\]$/);
    expect(asked.filter((what) => what.startsWith("wipe"))).toEqual(["wipe /stable/a"]);
  });

  it("would both wipe it without the turns", async () => {
    const exclusive: AddDisksDeps["exclusive"] = (_keys, act) => act();
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const wipe = async (path: string): Promise<void> => {
      asked.push(`wipe ${path}`);
      if (asked.filter((what) => what.startsWith("wipe")).length === 2) open();
      await gate;
    };
    await Promise.all([
      add([device("/dev/a")], true, { wipe, exclusive }),
      add([device("/dev/a")], true, { wipe, exclusive }),
    ]);
    expect(asked.filter((what) => what.startsWith("wipe"))).toHaveLength(2);
  });
});

describe("a WAL or DB of its own", () => {
  const aux = (path: string, wipe = false) =>
    ({ from: { kind: "device", path }, wipe, encrypt: false }) as const;

  it("is checked, linked and remembered with its OSD", async () => {
    const request = { specs: [device("/dev/a")], wal: aux("/dev/w"), db: aux("/dev/d", true) };
    expect(await ask(request)).toEqual({ report: [success("/dev/a")] });
    expect(asked).toContain("wipe /stable/d");
    expect(asked).not.toContain("wipe /stable/w");
    expect(await listLocalOsds(node.deps)).toMatchObject([
      { path: "/stable/a", wal: "/stable/w", db: "/stable/d" },
    ]);
    expect(await osdParts(node.deps, osdId(0))).toMatchObject({
      wal: { path: "/stable/w", partition: null },
    });
    memory = null;
    expect(await add([device("/dev/d")])).toMatchObject({
      report: [{ report: "Failure", error: expect.stringContaining("the DB of osd.0 already") }],
    });
  });

  it("with content is refused like the disk itself", async () => {
    expect(await ask({ specs: [device("/dev/a")], db: aux("/dev/full") })).toMatchObject({
      report: [{ path: "/dev/a", report: "Failure", error: "/stable/full holds data [DISK_IN_USE]" }],
    });
  });

  it("is not encrypted where the kernel cannot, and nothing is looked at or made", async () => {
    const run: AddDisksDeps["run"] = async () => nothing;
    await expect(ask({ specs: [device("/dev/a")], encrypt: true }, { run })).rejects.toMatchObject({
      code: "ENCRYPTION_UNSUPPORTED",
    });
    expect(asked).toEqual([]);
  });
});

describe("adding disks after a crash", () => {
  it.each<[string, (crash: () => never) => void]>([
    [
      "before the first was registered",
      (crash) => {
        register = crash;
      },
    ],
    [
      "inside the making of the second",
      (crash) => {
        mkfs = async (osd) => {
          if (osd === 1) crash();
        };
      },
    ],
  ])("%s makes the same OSDs, and no more", async (_what, arrange) => {
    // A stopping daemon and a dead one leave the same behind.
    arrange(() => {
      stop.abort();
      throw new Error("killed");
    });
    await expect(add([device("/dev/a"), device("/dev/b"), device("/dev/none")])).rejects.toThrow(
      /killed|cancelled/,
    );
    const first = structuredClone(memory);
    register = () => undefined;
    mkfs = async () => undefined;
    stop = new AbortController();
    asked.length = 0;
    // The devices are chosen already: they are not looked for again, and what was refused is still told.
    expect(await add([device("/dev/a"), device("/dev/b"), device("/dev/none")])).toEqual({
      report: [
        { path: "/dev/none", report: "Failure", error: "there is no /dev/none [NOT_FOUND]" },
        success("/dev/a"),
        success("/dev/b"),
      ],
    });
    expect(asked.filter((what) => what.startsWith("inspect"))).toEqual([]);
    expect(memory).toEqual(first);
    expect(await listLocalOsds(node.deps)).toHaveLength(2);
    expect(uuids).toBe(2);
  });

  it("remembers what is to be made before anything of it exists", async () => {
    const seen: Json[] = [];
    register = () => void seen.push(memory);
    await add([loops(1)]);
    expect(seen).toMatchObject([{ wanted: [{ source: { kind: "loop", bytes: gib } }], refused: [] }]);
  });

  it("ends only when all have ended", async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    let writing = 0;
    mkfs = async (osd) => {
      if (osd === 0) {
        await begun;
        stop.abort();
        throw new Error("stopped");
      }
      writing += 1;
      begin();
      await gate;
      writing -= 1;
      throw new Error("stopped too");
    };
    const added = add([device("/dev/a"), device("/dev/b")]).catch(() => writing);
    await begun;
    setImmediate(open);
    expect(await added).toBe(0);
  });
});
