import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { runProgram } from "../../process/run-program.ts";
import type { CallOptions, CephCommands, Pool } from "../command/commands.ts";
import { type FailureDomain, ourRules } from "../plan/failure-domain.ts";
import { type Mapping, movedBytes, movedCopies, parseMapping } from "../plan/moved-copies.ts";
import { ourRoot, type Placement } from "../plan/topology.ts";

export interface EstimateDeps {
  readonly ceph: CephCommands;
  readonly run: typeof runProgram;
  /** A folder for working files. */
  readonly folder: string;
}

/** Changes that are looked at together. */
export interface CrushChange {
  readonly moves: readonly Placement[];
  /** The failure domain that our pools go to; null when they stay. */
  readonly domain: FailureDomain | null;
}

export interface MovedData {
  readonly copies: number;
  readonly bytes: number;
  readonly pools: readonly { readonly name: string; readonly copies: number; readonly bytes: number }[];
}

const programDeadlineMs = 20_000;
const estimateRule = "microceph_estimate";

/**
 * What a change of the CRUSH map would move: the mapping of every placement group before and after it, by Ceph's
 * own `crushtool`, on a copy of the map. Nothing is changed in the cluster.
 */
export async function estimateMoves(
  deps: EstimateDeps,
  { moves, domain }: CrushChange,
  call: CallOptions,
): Promise<MovedData> {
  const { ceph } = deps;
  const [map, rules, pools, stored, tree] = await Promise.all([
    ceph.crushMapBinary(call),
    ceph.crushRules(call),
    ceph.pools(call),
    ceph.poolUsage(call),
    ceph.osdTree(call),
  ]);
  const folder = await mkdtemp(join(deps.folder, "crush-"));
  try {
    const before = join(folder, "before");
    await writeFile(before, map);
    const after = await changed(deps, folder, before, moves, domain);
    const ours = new Set(rules.filter(({ name }) => isOurs(name)).map(({ id }) => id));
    const weights = tree.osds
      .filter(({ reweight }) => reweight !== 1)
      .map(({ id, reweight }) => [id, reweight]);
    const rows: MovedData["pools"][number][] = [];
    for (const pool of pools) {
      const follows = domain !== null && ours.has(pool.crushRule) && !pool.erasure;
      const rule = follows ? after.rule : pool.crushRule;
      const was = await mapping(deps, before, pool, pool.crushRule, weights);
      const willBe = await mapping(deps, after.map, pool, rule ?? pool.crushRule, weights);
      const copies = movedCopies(was, willBe);
      if (copies === 0) continue;
      const storedBytes = stored.get(pool.name) ?? 0;
      rows.push({ name: pool.name, copies, bytes: movedBytes(copies, { pgNum: pool.pgNum, storedBytes }) });
    }
    const sum = (pick: (row: MovedData["pools"][number]) => number): number =>
      rows.reduce((total, row) => total + pick(row), 0);
    return { copies: sum((row) => row.copies), bytes: sum((row) => row.bytes), pools: rows };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function isOurs(rule: string): boolean {
  return Object.values(ourRules).includes(rule);
}

async function changed(
  deps: EstimateDeps,
  folder: string,
  before: string,
  moves: CrushChange["moves"],
  domain: FailureDomain | null,
): Promise<{ map: string; rule: number | null }> {
  let map = before;
  let step = 0;
  const tool = async (args: readonly string[]): Promise<void> => {
    step += 1;
    const next = join(folder, `step-${step}`);
    await deps.run("crushtool", ["-i", map, ...args, "-o", next], { deadlineMs: programDeadlineMs });
    map = next;
  };
  const known = new Set<string>();
  for (const { bucket, rack } of moves) {
    if (rack !== null && !known.has(rack)) {
      known.add(rack);
      // One that exists already is refused, and that is all right.
      await tool(["--add-bucket", rack, "rack", "--loc", "root", ourRoot]).catch(() => undefined);
    }
    const place = rack === null ? [] : ["--loc", "rack", rack];
    await tool(["--move", bucket, "--loc", "root", ourRoot, ...place]);
  }
  if (domain === null) return { map, rule: null };
  const text = join(folder, "map.txt");
  await deps.run("crushtool", ["-d", map, "-o", text], { deadlineMs: programDeadlineMs });
  const source = await readFile(text, "utf8");
  const rule = 1 + Math.max(-1, ...[...source.matchAll(/^\s+id (\d+)$/gm)].map((match) => Number(match[1])));
  const added = [
    `rule ${estimateRule} {`,
    `  id ${rule}`,
    "  type replicated",
    // Wanted up to Ceph 16, ignored later.
    "  min_size 1",
    "  max_size 10",
    `  step take ${ourRoot}`,
    domain === "osd" ? "  step choose firstn 0 type osd" : `  step chooseleaf firstn 0 type ${domain}`,
    "  step emit",
    "}",
  ];
  await writeFile(text, `${source}\n${added.join("\n")}\n`);
  const compiled = join(folder, "compiled");
  await deps.run("crushtool", ["-c", text, "-o", compiled], { deadlineMs: programDeadlineMs });
  return { map: compiled, rule };
}

async function mapping(
  deps: EstimateDeps,
  map: string,
  pool: Pool,
  rule: number,
  weights: readonly (readonly number[])[],
): Promise<Mapping> {
  const { stdout } = await deps.run(
    "crushtool",
    [
      ...["-i", map, "--test", "--rule", String(rule), "--num-rep", String(pool.size)],
      ...["--min-x", "0", "--max-x", String(pool.pgNum - 1), "--pool-id", String(pool.id), "--show-mappings"],
      ...weights.flatMap(([osd, weight]) => ["--weight", String(osd), String(weight)]),
    ],
    { deadlineMs: programDeadlineMs },
  );
  return parseMapping(stdout);
}
