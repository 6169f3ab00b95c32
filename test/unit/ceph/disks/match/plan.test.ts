import { describe, expect, it } from "vitest";
import { byName, type Carrier, planPartitions } from "../../../../../src/ceph/disks/match/plan.ts";

const mib = 2 ** 20;
const gib = 2 ** 30;

const carrier = (path: string, change: Partial<Carrier> = {}): Carrier => ({
  path,
  bytes: 10 * gib,
  action: "new",
  taken: [],
  ...change,
});
const shown = (plans: ReturnType<typeof planPartitions>): string[] =>
  plans.map(({ osd, wal, db }) => {
    const part = (one: typeof wal): string => (one === null ? "-" : `${one.carrier}#${one.number}`);
    return `${osd} ${part(wal)} ${part(db)}`;
  });

describe("a plan of partitions", () => {
  it("spreads evenly over the carriers, in the order of names", () => {
    const wal = { carriers: [carrier("/dev/nvme1"), carrier("/dev/nvme0")], bytes: gib };
    const osds = ["/dev/loop10", "/dev/loop2", "/dev/loop1"];
    expect(shown(planPartitions(osds, { wal, db: null }))).toEqual([
      "/dev/loop1 /dev/nvme0#1 -",
      "/dev/loop2 /dev/nvme1#1 -",
      "/dev/loop10 /dev/nvme0#2 -",
    ]);
  });

  it("is the same for the same disks in whatever order", () => {
    const carriers = [carrier("/dev/b"), carrier("/dev/a"), carrier("/dev/c")];
    const osds = ["/dev/x1", "/dev/x2", "/dev/x3", "/dev/x4"];
    const plan = planPartitions(osds, { wal: null, db: { carriers, bytes: gib } });
    const other = planPartitions([...osds].reverse(), {
      wal: null,
      db: { carriers: [...carriers].reverse(), bytes: gib },
    });
    expect(other).toEqual(plan);
  });

  it("puts WAL and DB on one carrier side by side, on whole MiB and clear of both ends", () => {
    const carriers = [carrier("/dev/n", { bytes: 1026 * mib })];
    const plan = planPartitions(["/dev/a"], {
      wal: { carriers, bytes: 512 * mib - 1 },
      db: { carriers, bytes: 512 * mib },
    });
    expect(plan).toMatchObject([
      {
        wal: { start: mib, bytes: 512 * mib, number: 1 },
        db: { start: 513 * mib, bytes: 512 * mib, number: 2 },
      },
    ]);
    const smaller = [carrier("/dev/n", { bytes: 1025 * mib })];
    expect(() =>
      planPartitions(["/dev/a"], {
        wal: { carriers: smaller, bytes: 512 * mib },
        db: { carriers: smaller, bytes: 512 * mib },
      }),
    ).toThrow("1 OSDs need a DB partition of 512 MiB each, which do not fit on /dev/n");
  });

  it("uses gaps, keeps what is there, and the carrier with the fewest comes first", () => {
    const taken = [
      { number: 1, start: mib, bytes: gib },
      { number: 3, start: mib + 3 * gib, bytes: gib },
    ];
    const carriers = [carrier("/dev/old", { action: "append", taken }), carrier("/dev/new")];
    const plan = planPartitions(["/dev/a", "/dev/b", "/dev/c"], {
      wal: null,
      db: { carriers, bytes: 2 * gib },
    });
    expect(plan.map(({ db }) => [db?.carrier, db?.number, db?.start, db?.action])).toEqual([
      ["/dev/new", 1, mib, "new"],
      ["/dev/new", 2, mib + 2 * gib, "new"],
      ["/dev/new", 3, mib + 4 * gib, "new"],
    ]);
    const more = planPartitions(["/dev/a"], {
      wal: null,
      db: { carriers: carriers.slice(0, 1), bytes: 2 * gib },
    });
    expect(more).toMatchObject([{ db: { number: 2, start: mib + gib, action: "append" } }]);
  });

  it("counts nothing of a carrier that is given up", () => {
    const taken = [{ number: 1, start: mib, bytes: 9 * gib }];
    const reset = [carrier("/dev/n", { action: "reset", taken })];
    expect(planPartitions(["/dev/a"], { wal: { carriers: reset, bytes: 9 * gib }, db: null })).toMatchObject([
      { wal: { number: 1, start: mib, action: "reset" } },
    ]);
  });

  it("is nothing by halves: of what does not fit as a whole nothing is planned", () => {
    const wal = { carriers: [carrier("/dev/n", { bytes: 3 * gib })], bytes: gib };
    expect(planPartitions(["/dev/a", "/dev/b"], { wal, db: null })).toHaveLength(2);
    expect(() => planPartitions(["/dev/a", "/dev/b", "/dev/c"], { wal, db: null })).toThrow(
      "3 OSDs need a WAL partition of 1024 MiB each",
    );
  });
});

it.each<[string, string, number]>([
  ["/dev/loop2", "/dev/loop10", -1],
  ["/dev/a", "/dev/a", 0],
  ["/dev/sdb", "/dev/sda", 1],
])("by name, %s and %s: %i", (a, b, order) => {
  expect(byName(a, b)).toBe(order);
});
