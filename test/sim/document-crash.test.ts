import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { cluster, seeded, TestNodes } from "../unit/state/document/fixture.ts";

const child = fileURLToPath(new URL("document-crash-child.ts", import.meta.url));
const seed = Number(process.env.DOCUMENT_SEED ?? 1);
const rounds = 20;

let nodes: TestNodes;
beforeEach(() => {
  nodes = new TestNodes();
});
afterEach(() => nodes.remove());

/**
 * Run the child, kill it `ms` after it has said so many numbers (0: after its start, which may be before it opened
 * the file), and give back the last that it said as a whole.
 */
async function killedAfter(
  path: string,
  from: number,
  words: number,
  ms: number,
): Promise<number | undefined> {
  const process_ = spawn(process.execPath, [child, path, cluster, `${from}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  const enough = new Promise<void>((resolve) => {
    if (words === 0) resolve();
    process_.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (said.split("\n").length > words) resolve();
    });
  });
  const closed = once(process_, "close");
  await Promise.race([enough, closed]);
  const timer = setTimeout(() => process_.kill("SIGKILL"), ms);
  const [, signal] = (await closed) as [number | null, string | null];
  clearTimeout(timer);
  expect(signal).toBe("SIGKILL");
  const last = said.slice(0, said.lastIndexOf("\n")).split("\n").at(-1);
  return last === undefined || last === "" ? undefined : Number(last);
}

test(`kill -9 at any moment loses no acknowledged write (seed ${seed})`, { timeout: 120_000 }, async () => {
  const random = seeded(seed);
  const node = nodes.add();
  let acknowledged = -1;
  let acknowledgedValue = -1;
  let expected = 0;
  for (let round = 0; round < rounds; round += 1) {
    node.close();
    // Every fifth is killed in its start, before or while it opens the file.
    const words = round % 5 === 4 ? 0 : 10 + Math.floor(random() * 50);
    const last = await killedAfter(node.path, acknowledged + 1, words, random() * (words > 0 ? 20 : 600));
    expected += words;
    acknowledged = last ?? acknowledged;
    acknowledgedValue = last ?? acknowledgedValue;
    node.restart();
    const where = `seed ${seed} round ${round}`;
    const { settings } = node.document.view();
    const kept = Number(settings.n ?? -1);
    // The one that was under way may be there too.
    expect([acknowledged, acknowledged + 1], where).toContain(kept);
    const value = node.store.get<number>("n") ?? -1;
    expect(value, where).toBeGreaterThanOrEqual(acknowledgedValue);
    expect(value, where).toBeLessThanOrEqual(kept);
    if (kept >= 0) expect(settings[`k${kept % 50}`], where).toBe(`${kept}`.repeat(40));
    expect(node.document.refetching, where).toBe(false);
    expect(node.document.problems(), where).toEqual([]);
    acknowledged = kept;
    acknowledgedValue = value;
  }
  // Enough to pass through a snapshot or two.
  expect(acknowledged + 1).toBeGreaterThanOrEqual(expected);
  expect(expected).toBeGreaterThan(256);
});
