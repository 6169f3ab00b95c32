import { describe, expect, test } from "vitest";
import { main } from "./main.ts";
import { type MeshChanges, MeshWorld } from "./mesh-world.ts";
import { parseCommand, UsageError } from "./options.ts";
import { Timeline } from "./timeline.ts";

const freshSeed = Number(process.env.SIM_SEED ?? Math.floor(Math.random() * 2 ** 31));

async function command(flags: string, changes?: MeshChanges): Promise<{ code: number; text: string }> {
  const written: string[] = [];
  const code = await main(flags.split(" "), (text) => written.push(text), changes);
  return { code, text: written.join("") };
}

describe("a simulated hour of 12 members at 10 % loss", () => {
  test.each([
    [1, 1],
    [freshSeed, 0.25],
  ])("no member is believed to have failed that is there, seed %i (%f h)", async (seed, hours) => {
    const flags = "--nodes 12 --loss 10 --latency 1-30 --partitions 0 --pauses 0 --clock-jumps 2";
    const { options } = parseCommand(
      [...flags.split(" "), "--hours", `${hours}`, "--crashes", "4", "--seed", `${seed}`],
      () => seed,
    );
    const world = new MeshWorld(options, new Timeline(options), { realDocuments: false });
    const result = await world.run();
    const where = `SIM_SEED=${seed}`;
    expect(result.falsePositives, where).toBe(0);
    expect(
      result.invariants.flatMap(({ violations }) => violations),
      where,
    ).toEqual([]);
    // The network was as bad as that, and the dead were found.
    expect(result.falseSuspicions, where).toBeGreaterThan(0);
    if (hours === 1) expect(result.failed.count, where).toBeGreaterThan(10);
  });
});

describe("presence at any size", () => {
  test("a power-off is suspected within 3 s and failed within 10 s, and what each sends stays the same", async () => {
    const sizes = [3, 32, 33, 100];
    const perNode = new Map<number, { presence: number; bytes: number }>();
    for (const nodes of sizes) {
      const flags = `--nodes ${nodes} --hours 0.1 --seed 4 --loss 0 --latency 0.2-2 --crashes 4 --partitions 0`;
      const { options } = parseCommand([...flags.split(" "), "--pauses", "1"], () => 4);
      const result = await new MeshWorld(options, new Timeline(options), { realDocuments: false }).run();
      const { suspected, failed, invariants, traffic, measuredMs } = result;
      expect(suspected.count, `${nodes} nodes`).toBeGreaterThanOrEqual(nodes - 1);
      expect(suspected.longest, `${nodes} nodes`).toBeLessThan(3_000);
      expect(failed.count, `${nodes} nodes`).toBeGreaterThanOrEqual(nodes - 1);
      expect(failed.longest, `${nodes} nodes`).toBeLessThan(10_000);
      expect(
        invariants.flatMap(({ violations }) => violations),
        `${nodes} nodes`,
      ).toEqual([]);
      const over = nodes * measuredMs;
      const { presence, pulse } = traffic;
      perNode.set(nodes, {
        presence: presence.messages / over,
        bytes: (presence.bytes + pulse.bytes) / over,
      });
    }
    const [few, many] = [perNode.get(33), perNode.get(100)];
    if (few === undefined || many === undefined) throw new RangeError("not measured");
    expect(many.presence).toBeLessThan(1.2 * few.presence);
    expect(many.bytes).toBeLessThan(1.2 * few.bytes);
    expect(few.bytes).toBeLessThan(perNode.get(32)?.bytes ?? 0);
  });
});

describe("npm run sim", () => {
  const flags = "--nodes 6 --hours 0.05 --seed 5 --partitions 1 --crashes 1 --pauses 1";

  test("prints the same for the same seed, byte for byte, and another for another", async () => {
    const first = await command(`${flags} --format json`);
    expect(first.code, first.text.slice(-2000)).toBe(0);
    expect(await command(`${flags} --format json`)).toEqual(first);
    expect((await command(`${flags} --format json --seed 6`)).text).not.toBe(first.text);
  });

  test("draws curves", async () => {
    const { code, text } = await command("--curve 4,40 --hours 0.05 --seed 2");
    expect(code, text).toBe(0);
    const rows = text.split("\n").map((line) => line.trim().split(/\s+/));
    expect(rows.slice(1, 3).map(([nodes, documents]) => [nodes, documents])).toEqual([
      ["4", "real"],
      ["40", "model"],
    ]);
  });

  test("finds what a hasty presence does, and says how to run it again", async () => {
    const hasty = { suspectMs: 400, failedMs: 500, aloneMs: 600, voteMs: 300 };
    const { code, text } = await command(`${flags} --loss 20`, { presence: { timings: hasty } });
    expect(code).toBe(1);
    expect(text).toMatch(/VIOLATION no member fails that is up and can be reached: \d+ ms: n\d believes/);
    expect(text).toContain(
      "Replay: npm run sim -- --nodes 6 --hours 0.05 --partitions 1 --crashes 1 --pauses 1 --loss 20 --seed 5",
    );
  });

  const broken: [string, MeshChanges, RegExp][] = [
    [
      "a slow presence",
      { presence: { timings: { suspectMs: 6_000, failedMs: 20_000 } } },
      /power-off is suspected.*without power/,
    ],
    ["documents that cannot meet", { muteDocuments: true }, /no accepted edit is lost: n\d has another/],
  ];
  test.each(broken)("finds what %s do", async (_, changes, found) => {
    const calm = "--nodes 5 --hours 0.05 --partitions 0 --pauses 0 --loss 0 --crashes 3 --edit-every 20";
    const options = parseCommand([...calm.split(" "), "--seed", "3"], () => 3).options;
    const { invariants } = await new MeshWorld(options, new Timeline(options), changes).run();
    expect(
      invariants.flatMap(({ name, violations }) => violations.map((text) => `${name}: ${text}`)).join("\n"),
    ).toMatch(found);
  });

  test("refuses flags that make no sense", async () => {
    for (const wrong of [
      "--nodes 1",
      "--nodes 1001",
      "--loss x",
      "--curve 10,x",
      "--format yaml",
      "--nope 1",
    ]) {
      expect(() => parseCommand(wrong.split(" "), () => 1), wrong).toThrow(UsageError);
    }
  });
});
