import { describe, expect, test } from "vitest";
import type { MeshStatus } from "../../../src/api/contract/mesh.ts";
import type { StatusReport } from "../../../src/api/contract/status.ts";
import { admissionText } from "../../../src/cli/render/admission.ts";
import { deploymentSummary } from "../../../src/cli/render/deployment-summary.ts";
import {
  diskList,
  diskListText,
  diskReportTable,
  dryRunData,
  dryRunText,
} from "../../../src/cli/render/disk-lists.ts";
import { eventLine } from "../../../src/cli/render/event-line.ts";
import { clusterTable } from "../../../src/cli/render/lists.ts";
import { meshStatusText, referenceOf } from "../../../src/cli/render/mesh-status.ts";
import { coloured, paintFor, plain } from "../../../src/cli/render/paint.ts";
import { printable, printableData, printableJson } from "../../../src/cli/render/sanitize.ts";
import { statusOverview } from "../../../src/cli/render/status-overview.ts";
import { borderedTable, compactTable, csvTable } from "../../../src/cli/render/table.ts";
import { ago, bytes, duration, left, naturally, serviceOrder } from "../../../src/cli/render/words.ts";
import { at, freshStatus, healthyStatus, ids, inventoryDisk } from "../api/stub-operations.ts";

const healthy = healthyStatus();
const fresh = freshStatus();

/** n2 and n3 are gone, and with them the majority. */
const lost: StatusReport = {
  ...healthy,
  cluster: healthy.cluster && { ...healthy.cluster, admission: { mode: "approve", until: null } },
  lease: { ...healthy.lease, quorum: "lost" },
  members: healthy.members.map((member) =>
    member.name === "n1" ? member : { ...member, presence: "failed", lastSeen: "2026-11-22T09:50:00.000Z" },
  ),
  health: healthy.health && {
    ...healthy.health,
    asOf: "2026-11-22T09:59:00.000Z",
    status: "HEALTH_WARN",
    checks: [{ code: "MON_DOWN", severity: "HEALTH_WARN", summary: "1/3 mons down" }],
  },
  conditions: [{ code: "no-quorum", severity: "error", text: "nothing can be decided" }],
  conflicts: [{ kind: "two-clusters", detail: "microceph and other are both on this network" }],
};

const seenOnly: StatusReport = { ...fresh, pending: healthy.pending };

const troubledDisks = [
  { osd: 0, path: "/dev/sda", location: "n1", state: "running" },
  {
    osd: 1,
    path: "/dev/sdb",
    location: "n2",
    state: "waiting",
    reason: "ended with status 1; starts again in 4.000 s; ERROR: unable to open OSD superblock",
  },
];
const troubledInventories = [
  {
    location: "n1",
    asOf: at,
    disks: [
      inventoryDisk({ path: "/dev/sda", available: false, reasons: ["is osd.0 already"] }),
      inventoryDisk({
        path: "/dev/sdc",
        available: false,
        reasons: ["holds an xfs file system"],
        wipeable: true,
      }),
    ],
  },
  {
    location: "n2",
    asOf: at,
    disks: [
      inventoryDisk({ path: "/dev/sdd" }),
      inventoryDisk({ path: "/dev/sde", available: false, reasons: ["mounted at /", "is read-only"] }),
    ],
  },
];
const plannedWal = {
  kind: "wal",
  parent: "/dev/nvme0n1",
  number: 2,
  sizeBytes: 2 ** 30,
  action: "append",
} as const;
const dryRun = {
  report: [],
  dryRun: {
    devices: [],
    plan: [
      { path: "/dev/sda", wal: plannedWal, db: null },
      { path: "/dev/sdb", wal: { ...plannedWal, number: 3, action: "reset" as const }, db: null },
    ],
  },
};

describe("texts for people", () => {
  const cases: [string, string][] = [
    ["mesh-status-healthy", meshStatusText(healthy, plain)],
    ["mesh-status-coloured", meshStatusText(healthy, coloured)],
    ["mesh-status-quorum-lost", meshStatusText(lost, plain)],
    ["mesh-status-fresh", meshStatusText(seenOnly, plain)],
    ["status-overview-healthy", statusOverview(healthy, plain)],
    ["status-overview-coloured", statusOverview(lost, coloured)],
    ["status-overview-fresh", statusOverview(fresh, plain)],
    ["status-overview-no-disks", statusOverview({ ...healthy, disks: [], health: null }, plain)],
    ["deployment-summary", deploymentSummary(healthy)],
    [
      "disk-list",
      diskListText(
        diskList(
          healthy.disks,
          [{ location: "n1", asOf: at, disks: [inventoryDisk({ path: "/dev/disk/by-id/scsi-1" })] }],
          false,
        ),
      ),
    ],
    ["disk-list-empty", diskListText(diskList([], [], false))],
    ["disk-list-troubled", diskListText(diskList(troubledDisks, troubledInventories, false))],
    ["disk-dry-run", dryRunText(dryRun)],
  ];
  test.each(cases)("%s", async (name, text) => {
    await expect(text).toMatchFileSnapshot(`golden/${name}.txt`);
  });
});

describe("mesh status says what to do", () => {
  const withAdmission = (mode: "auto" | "approve" | "closed", windowOpen = true): MeshStatus => ({
    ...healthy,
    cluster: healthy.cluster && { ...healthy.cluster, admission: { mode, until: null } },
    pending: healthy.pending.map((node) => ({ ...node, windowOpen })),
  });
  test.each([
    ["auto", true, "nothing to do"],
    ["approve", true, "microceph mesh approve n4, if `microceph mesh fingerprint` on n4"],
    ["closed", true, "admission is closed: microceph mesh admission approve, then microceph mesh approve n4"],
    ["approve", false, "its window is shut: run microceph mesh join on n4"],
  ] as const)("under %s, window open %s", (mode, open, says) => {
    expect(meshStatusText(withAdmission(mode, open), plain)).toContain(says);
  });

  test.each([
    ["claimed", "accepted a cluster's claim and waits to be admitted"],
    ["removed", "was removed from its cluster"],
  ] as const)("to a node that is %s", (state, says) => {
    expect(meshStatusText({ ...fresh, self: { ...fresh.self, state } }, plain)).toContain(says);
  });

  test.each([
    [[true], "1: none may fail"],
    [[true, true], "2: none may fail"],
    [[true, true, true], "3: 1 may fail"],
    [[true, true, false], "3 (1 away): none more may fail"],
    [[true, true, true, true, false], "5 (1 away): 1 more may fail"],
    [[true, false, false], "3 (2 away): 1 short of a majority"],
  ])("about voters that are there: %j", (voters, says) => {
    const [first] = healthy.members;
    if (!first) throw new Error("no member");
    const members = voters.map((alive, at) => ({
      ...first,
      id: `${first.id}${at}`,
      presence: alive ? ("alive" as const) : ("failed" as const),
    }));
    expect(meshStatusText({ ...healthy, members }, plain)).toContain(`Voters     ${says}\n`);
  });
});

describe("a node in a command", () => {
  const [n4] = healthy.pending;
  if (!n4) throw new Error("no pending node");
  test.each([
    ["by its name", n4, [], "n4"],
    ["by a prefix when the name is taken", n4, [{ ...n4, id: ids.n3 }], ids.n4.slice(0, 14)],
    [
      "by a prefix when a shell would trip over the name",
      { ...n4, name: "a;rm -rf" },
      [],
      ids.n4.slice(0, 14),
    ],
    [
      "by more of it where that is needed",
      { ...n4, name: "x y" },
      [{ ...n4, id: `${ids.n4.slice(0, 16)}zz` }],
      ids.n4.slice(0, 17),
    ],
  ])("%s", (_name, node, others, reference) => {
    expect(referenceOf({ ...healthy, members: [], pending: [node, ...others] }, node)).toBe(reference);
  });
});

test("MicroCeph's summary counts disks by node and puts grouped services and osd last", () => {
  const [first] = healthy.members;
  if (!first) throw new Error("no member");
  const report: StatusReport = {
    ...healthy,
    members: [
      { ...first, name: "n10", addresses: [], services: [] },
      {
        ...first,
        name: "n2",
        addresses: ["10.0.0.2"],
        services: ["rgw", "nfs.share1", "osd", "mon", "mds", "mgr"],
      },
    ],
    disks: [
      { osd: 1, path: "/a", location: "n2" },
      { osd: 2, path: "/b", location: "n2" },
    ],
  };
  expect(deploymentSummary(report)).toBe(
    [
      "MicroCeph deployment summary:",
      "- n2 (10.0.0.2)",
      "  Services: mds, mgr, mon, rgw, nfs.share1, osd",
      "  Disks: 2",
      "- n10 ()",
      "  Services: ",
      "  Disks: 0",
      "",
    ].join("\n"),
  );
});

describe("tables", () => {
  test("LXD's borders", () => {
    expect(borderedTable(["OSD", "LOCATION", "PATH"], [["1", "n1", "/dev/sdb"]])).toBe(
      [
        "+-----+----------+----------+",
        "| OSD | LOCATION |   PATH   |",
        "+-----+----------+----------+",
        "| 1   | n1       | /dev/sdb |",
        "+-----+----------+----------+",
        "",
      ].join("\n"),
    );
  });
  test("no rows", () => {
    expect(borderedTable(["A", "BC"], [])).toBe("+---+----+\n| A | BC |\n+---+----+\n");
  });
  test("compact", () => {
    expect(
      compactTable(
        ["NAME", "X"],
        [
          ["n1", "1"],
          ["node-2", ""],
        ],
      ),
    ).toBe("  NAME    X\n  n1      1\n  node-2\n");
  });
  test("csv quotes what needs it", () => {
    expect(csvTable([["a", 'say "x"', "1,2"]])).toBe('a,"say ""x""","1,2"\n');
  });
  test("a dry run has MicroCeph's keys", () => {
    const wal = { kind: "wal", parent_path: "/dev/nvme0n1", partition: 2, size: "1.00GiB" };
    expect(dryRunData(dryRun)).toEqual({
      validation_error: "",
      report: [],
      dry_run_plan: [
        { osd_path: "/dev/sda", wal },
        { osd_path: "/dev/sdb", wal: { ...wal, partition: 3, reset_before_use: true } },
      ],
    });
    const devices = [{ path: "/dev/sda", model: "BIG", vendor: "ACME", type: "sata", sizeBytes: 2 ** 40 }];
    expect(
      dryRunData({ report: [], dryRun: { devices, plan: [{ path: "/dev/sda", wal: null, db: null }] } }),
    ).toMatchObject({
      dry_run_devices: [{ path: "/dev/sda", model: "BIG", vendor: "ACME", type: "sata", size: "1.00TiB" }],
    });
  });
  test("the host's own list leaves the other members out", () => {
    const list = diskList(troubledDisks, troubledInventories, true);
    expect(list.ConfiguredDisks.map(({ location }) => location)).toEqual(["n1"]);
    expect(list.RemoteDisks).toEqual([]);
    expect(list.UnavailableDisks.map(({ Location }) => Location)).toEqual(["n1"]);
  });
  test("disk reports and members", () => {
    expect(
      diskReportTable({ report: [{ path: "/dev/vdb", report: "Failure", error: "busy" }] }).rows,
    ).toEqual([["/dev/vdb", "Failure"]]);
    const row = {
      name: "n1",
      address: "10.0.0.1:7443",
      role: "voter",
      fingerprint: "ab",
      status: "ONLINE",
      presence: "alive",
      last_heartbeat: at,
    } as const;
    expect(
      clusterTable([
        { ...row, name: "n10" },
        { ...row, name: "n9" },
      ]).rows.map(([name]) => name),
    ).toEqual(["n9", "n10"]);
  });
});

describe("text from outside", () => {
  test.each([
    ["\u001b[2Jgone", "\ufffd[2Jgone"],
    ["a\u009b31mb", "a\ufffd31mb"],
    ["two\r\nlines\tand", "two lines and"],
    ["abc\u202egpj", "abc\ufffdgpj"],
    ["zero\u200bwidth", "zero\ufffdwidth"],
    ["\ud800", "\ufffd"],
    ["n1 ü 节点", "n1 ü 节点"],
  ])("%j becomes %j", (raw, clean) => expect(printable(raw)).toBe(clean));

  test("is cleaned at any depth, keys too", () => {
    expect(printableData({ "\u0007": [{ a: "\u0007", n: 1, z: null }] })).toEqual({
      "\ufffd": [{ a: "\ufffd", n: 1, z: null }],
    });
  });

  test("is escaped in JSON, which stays the same data", () => {
    const data = { name: "a\u009b\u202e\u{e0001}\u001b\n", list: [1] };
    const text = printableJson(data, 2);
    expect(
      [...text].filter((character) => character !== "\n" && (character < " " || character > "~")),
    ).toEqual([]);
    expect(JSON.parse(text)).toEqual(data);
    expect(text.split("\n")).toHaveLength(6);
  });
});

describe("words", () => {
  test.each([
    [0, "0 s"],
    [59_400, "59 s"],
    [60_000, "1 min"],
    [3_599_000, "59 min"],
    [3_600_000, "1 h"],
    [83_520_000, "23 h 12 min"],
    [86_400_000, "1 d"],
    [180_000_000, "2 d 2 h"],
    [-5, "0 s"],
  ])("%d ms are %s", (ms, text) => expect(duration(ms)).toBe(text));
  test("ago and left", () => {
    expect(ago("2026-11-22T09:59:59.000Z", at)).toBe("now");
    expect(ago("2026-11-22T09:59:00.000Z", at)).toBe("1 min ago");
    expect(left("2026-11-22T10:00:30.000Z", at)).toBe("30 s");
    expect(left("2026-11-22T09:00:00.000Z", at)).toBeUndefined();
  });
  test.each([
    [0, "0B"],
    [1023, "1023B"],
    [1024, "1.00KiB"],
    [20 * 2 ** 30, "20.00GiB"],
    [1.5 * 2 ** 40, "1.50TiB"],
  ])("%d bytes are %s", (count, text) => expect(bytes(count)).toBe(text));
  test.each([
    ["n2", "n10", -1],
    ["n10", "n2", 1],
    ["n2", "n2", 0],
    ["n", "n1", -1],
    ["a1b", "a1a", 1],
    ["1", "a", -1],
    ["n01", "n1", -1],
    ["", "n", -1],
  ])("%j to %j is in order %d", (a, b, order) => expect(Math.sign(naturally(a, b))).toBe(order));
  test("services keep MicroCeph's order and appear once", () => {
    expect(serviceOrder(["osd", "mgr", "nfs.b", "nfs.a", "mon", "osd"])).toEqual([
      "mgr",
      "mon",
      "nfs.a",
      "nfs.b",
      "osd",
    ]);
  });
  test.each([
    [{ mode: "auto", until: null }, "with no end"],
    [{ mode: "auto", until: "2026-11-22T10:30:00.000Z" }, "turns to approve in 30 min"],
    [{ mode: "auto", until: "2026-11-22T09:30:00.000Z" }, "in a moment"],
    [{ mode: "approve", until: null }, "wait until you approve"],
    [{ mode: "closed", until: null }, "no fresh node"],
  ] as const)("admission %j", (admission, says) => expect(admissionText(admission, at)).toContain(says));
  test("events", () => {
    const job = { id: "j", kind: "disk.add", state: "running", step: "a b", progress: 1 } as const;
    expect(eventLine({ seq: 7, at, node: "p", type: "job.changed", data: job }, plain)).toBe(
      '7  10:00:00Z  job.changed  id=j kind=disk.add state=running step="a b" progress=1\n',
    );
    expect(eventLine({ seq: 8, at, node: "p", type: "quorum.lost", data: {} }, plain)).toBe(
      "8  10:00:00Z  quorum.lost\n",
    );
  });
});

test("colours go to terminals that want them", () => {
  expect(paintFor(true, {})("red", "x")).toBe("\u001b[31mx\u001b[0m");
  expect(paintFor(false, {})("red", "x")).toBe("x");
  expect(paintFor(true, { NO_COLOR: "1" })("red", "x")).toBe("x");
  expect(paintFor(true, { TERM: "dumb" })("red", "x")).toBe("x");
});
