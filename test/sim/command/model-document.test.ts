import { describe, expect, test } from "vitest";
import { withFixedEntropy } from "./fixed-entropy.ts";
import { type MeshResult, MeshWorld } from "./mesh-world.ts";
import { parseCommand } from "./options.ts";
import { Timeline } from "./timeline.ts";

function meshOf(nodes: number, seed: number, real: boolean): Promise<MeshResult> {
  const flags = ["--nodes", `${nodes}`, "--hours", "0.05", "--seed", `${seed}`, "--edit-every", "8"];
  const calm = ["--loss", "0", "--crashes", "0", "--partitions", "0", "--pauses", "0", "--latency", "1-3"];
  const { options } = parseCommand([...flags, ...calm], () => seed);
  return withFixedEntropy(seed, () =>
    new MeshWorld(options, new Timeline(options), { realDocuments: real }).run(),
  );
}

describe("the model of the document against real Automerge documents", () => {
  test.each([5, 12])("of %i nodes: as many messages, as many bytes, as fast", async (nodes) => {
    const real = await meshOf(nodes, 11, true);
    const model = await meshOf(nodes, 11, false);
    const ratio = (of: (result: MeshResult) => number): number => of(model) / of(real);
    const shown = JSON.stringify(
      [real, model].map(({ traffic, converged }) => [traffic.document, converged]),
    );
    expect(real.converged.count, shown).toBeGreaterThan(10);
    expect(
      ratio(({ traffic }) => traffic.document.messages),
      shown,
    ).toBeGreaterThan(0.85);
    expect(
      ratio(({ traffic }) => traffic.document.messages),
      shown,
    ).toBeLessThan(1.15);
    expect(
      ratio(({ traffic }) => traffic.document.bytes),
      shown,
    ).toBeGreaterThan(0.85);
    expect(
      ratio(({ traffic }) => traffic.document.bytes),
      shown,
    ).toBeLessThan(1.15);
    expect(
      ratio(({ converged }) => converged.median ?? 0),
      shown,
    ).toBeGreaterThan(0.75);
    expect(
      ratio(({ converged }) => converged.median ?? 0),
      shown,
    ).toBeLessThan(1.33);
  });
});
