import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CephCommands, Pool } from "../../../../src/ceph/command/commands.ts";
import { type CrushChange, estimateMoves } from "../../../../src/ceph/control/crush-estimate.ts";
import { osdId } from "../../../../src/ids/ids.ts";
import { runProgram } from "../../../../src/process/run-program.ts";

/** Four hosts with two OSDs each, and the rule of our narrowest failure domain. */
function mapText(): string {
  const tunables = [
    "chooseleaf_descend_once 1",
    "chooseleaf_vary_r 1",
    "chooseleaf_stable 1",
    "choose_total_tries 50",
  ];
  const hosts = [1, 2, 3, 4].map(
    (n) =>
      `host n${n} {\n id -${n + 1}\n alg straw2\n hash 0\n item osd.${2 * n - 2} weight 1.0\n item osd.${2 * n - 1} weight 1.0\n}`,
  );
  return [
    ...tunables.map((line) => `tunable ${line}`),
    ...Array.from({ length: 8 }, (_, n) => `device ${n} osd.${n} class ssd`),
    "type 0 osd\ntype 1 host\ntype 3 rack\ntype 11 root",
    ...hosts,
    `root default {\n id -1\n alg straw2\n hash 0\n${[1, 2, 3, 4].map((n) => ` item n${n} weight 2.0`).join("\n")}\n}`,
    ...["microceph_auto_osd", "theirs"].map(
      (name, id) =>
        `rule ${name} {\n id ${id}\n type replicated\n min_size 1\n max_size 10\n step take default\n step choose firstn 0 type osd\n step emit\n}`,
    ),
  ].join("\n");
}

describe("estimateMoves, by the real crushtool", () => {
  let folder = "";
  let map = new Uint8Array();
  const pool = (name: string, crushRule: number): Pool => ({
    ...{
      id: crushRule + 1,
      name,
      size: 3,
      minSize: 2,
      crushRule,
      pgNum: 64,
      erasure: false,
      applications: [],
    },
  });
  const ceph = {
    crushMapBinary: async () => map,
    crushRules: async () => [
      { id: 0, name: "microceph_auto_osd", failureDomain: "osd" },
      { id: 1, name: "theirs", failureDomain: "osd" },
    ],
    pools: async () => [pool("ours", 0), pool("users", 1)],
    poolUsage: async () =>
      new Map([
        ["ours", 64_000],
        ["users", 64_000],
      ]),
    osdTree: async () => ({ osds: [{ id: osdId(0), reweight: 1 }], hosts: [], buckets: [] }),
  } as unknown as CephCommands;
  const estimate = (change: CrushChange) => estimateMoves({ ceph, run: runProgram, folder }, change, {});

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "estimate-"));
    writeFileSync(join(folder, "map.txt"), mapText());
    execFileSync("crushtool", ["-c", join(folder, "map.txt"), "-o", join(folder, "map.bin")]);
    map = new Uint8Array(readFileSync(join(folder, "map.bin")));
    rmSync(join(folder, "map.txt"));
    rmSync(join(folder, "map.bin"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("moves nothing when nothing changes", async () => {
    expect(await estimate({ moves: [], domain: "osd" })).toEqual({ copies: 0, bytes: 0, pools: [] });
  });

  it("moves a part of our pool, and nothing of a user's, to a wider failure domain", async () => {
    const moved = await estimate({ moves: [], domain: "host" });
    expect(moved.pools.map(({ name }) => name)).toEqual(["ours"]);
    expect(moved.copies).toBeGreaterThan(0);
    expect(moved.copies).toBeLessThan(64 * 3);
    // 64 groups of 1000 bytes each.
    expect(moved.bytes).toBe(moved.copies * 1000);
  });

  it("tells what hosts that go to zones move, in every pool", async () => {
    const to = (bucket: string, rack: string) => ({ bucket, rack });
    const moved = await estimate({
      moves: [to("n1", "az.a"), to("n2", "az.b"), to("n3", "az.a")],
      domain: null,
    });
    expect(moved.pools.map(({ name }) => name).sort()).toEqual(["ours", "users"]);
    expect(moved.copies).toBeGreaterThan(0);
  });

  it("leaves no files behind", () => {
    expect(readdirSync(folder)).toEqual([]);
  });
});
