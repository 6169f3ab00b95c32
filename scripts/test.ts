// All tests, one project after the other, and the sum as the last line: N passed, N failed, N skipped
//   test.ts [--project lint|types|unit|sim|lab|long|vm]… [vitest argument…]
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import {
  addCounts,
  type Counts,
  countFiles,
  countReport,
  failedFiles,
  failures,
  replaceCounts,
  skipReasons,
  summaryLine,
  wholeStep,
} from "./test-counts.ts";

const root = join(import.meta.dirname, "..");
const tools = join(root, "node_modules");

/** Where a tool runs: `before` its command line, and what is added to its environment. */
interface Surroundings {
  readonly before: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** It has a session of its own, and says what it says to this file. */
  readonly apart?: string;
}

/** Run a tool of node_modules with this Node; its exit code. */
function runTool(script: string, args: readonly string[], around?: Surroundings): Promise<number> {
  return new Promise((resolve) => {
    const [program = "", ...rest] = [
      ...(around?.before ?? []),
      process.execPath,
      join(tools, script),
      ...args,
    ];
    const env = { ...process.env, ...around?.env };
    const output = around?.apart === undefined ? "inherit" : openSync(around.apart, "w");
    const detached = around?.apart !== undefined;
    const child = spawn(program, rest, { cwd: root, stdio: ["inherit", output, output], env, detached });
    if (detached) process.once("exit", () => child.exitCode ?? endGroup(child.pid));
    child.once("error", () => resolve(127));
    child.once("close", (code) => resolve(code ?? 1));
  });
}

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid);
  } catch {
    // It has ended.
  }
}

/**
 * Only with what nobody else wants of the processor. Where sessions are scheduled as groups, niceness counts within
 * one of them only, and the group has its own (sched(7), autogroup).
 */
const outOfTheWay = [
  "sh",
  "-c",
  '(echo 19 > /proc/self/autogroup) 2>/dev/null; exec nice -n 19 "$@"',
  "out-of-the-way",
];

/** Root runs lab tests as it is; others in a machine of their own, or they are skipped and say why. */
function labSurroundings(): Surroundings | undefined {
  if (process.getuid?.() === 0) return undefined;
  const machine = ["sh", join(root, "scripts", "lab", "machine.sh")];
  const probe = spawnSync("sh", [...machine.slice(1), "true"], { encoding: "utf8" });
  if (probe.status === 0) return { before: machine, env: {} };
  const said = /^Error: (.*)$/m.exec(probe.stderr)?.[1] ?? "no machine of one's own can be made";
  return { before: [], env: { MICROCEPH_LAB_OBSTACLE: said } };
}

/** A vitest run: what it came to, and its JSON report. */
interface Run {
  readonly counts: Counts;
  readonly text: string;
}

async function vitest(
  project: string,
  args: readonly string[],
  folder: string,
  around?: Surroundings,
): Promise<Run> {
  const file = join(folder, `${project}.json`);
  rmSync(file, { force: true });
  const options = [
    ...["run", "--project", project, "--passWithNoTests"],
    ...["--reporter=default", "--reporter=json", `--outputFile.json=${file}`],
    ...args,
  ];
  const code = await runTool("vitest/vitest.mjs", options, around);
  let text = "";
  try {
    text = readFileSync(file, "utf8");
  } catch {
    // No report: the run itself failed.
  }
  for (const { test, said } of failures(text)) told.push(`FAILED ${test}\n${said.replace(/^/gm, "    ")}`);
  for (const [reason, count] of skipReasons(text)) console.log(`${count} skipped: ${reason}`);
  return { counts: countReport(text, code), text };
}

/** More files than these are not bad luck. */
const filesRunAgain = 2;

/** What failed at any try, said again at the end: what a log keeps of a long run is often its end alone. */
const told: string[] = [];

/** Said before the last line, so that nobody overlooks what passed only at the second try. */
const remarks: string[] = [];

/**
 * Tests on real parts share a machine with whatever else runs there. A file that fails is run once more, in a lab
 * of its own: what fails twice has failed, and what does not is named at the end.
 */
async function onRealParts(
  project: string,
  args: readonly string[],
  folder: string,
  around: Surroundings = { before: [], env: {} },
): Promise<Counts> {
  const first = await vitest(project, args, folder, around);
  const failed = failedFiles(first.text);
  if (args.length > 0 || failed.length === 0 || failed.length > filesRunAgain) return first.counts;
  console.log(`\n== ${project}, again: ${failed.map((file) => basename(file)).join(", ")}`);
  const second = await vitest(project, failed, folder, around);
  const before = countFiles(first.text, failed);
  // A second run that found fewer tests proves nothing.
  if (testsIn(second.counts) < testsIn(before)) return first.counts;
  const outcome = second.counts.failed === 0 ? "passed" : "failed";
  for (const file of failed)
    remarks.push(`${basename(file)} failed at first, see above; run again it ${outcome}.`);
  return replaceCounts(first.counts, before, second.counts);
}

const testsIn = ({ passed, failed, skipped }: Counts): number => passed + failed + skipped;

type Step = (args: readonly string[], folder: string) => Promise<Counts>;

const steps: Readonly<Record<string, Step>> = {
  lint: async () => wholeStep(await runTool("@biomejs/biome/bin/biome", ["check", "."])),
  types: async () => wholeStep(await runTool("typescript/bin/tsc", ["--noEmit"])),
  unit: async (args, folder) => (await vitest("unit", args, folder)).counts,
  sim: async (args, folder) => (await vitest("sim", args, folder)).counts,
  lab: (args, folder) => onRealParts("lab", args, folder, labSurroundings()),
  long: (args, folder) => onRealParts("long", args, folder, labSurroundings()),
  vm: (args, folder) => onRealParts("vm", args, folder),
};

/** These take long, and have commands of their own. */
const byName = ["long", "vm"];

/** Projects asked for, and what is left for vitest. Without any it is all but those. */
function parse(args: readonly string[]): { projects: string[]; rest: string[] } {
  const projects: string[] = [];
  const rest: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? "";
    const named = arg === "--project" ? args[++at] : /^--project=(.*)$/.exec(arg)?.[1];
    if (named === undefined) rest.push(arg);
    else projects.push(named);
  }
  const usual = Object.keys(steps).filter((project) => !byName.includes(project));
  return { projects: projects.length > 0 ? projects : usual, rest };
}

const { projects, rest } = parse(process.argv.slice(2));
const unknown = projects.find((project) => steps[project] === undefined);
if (unknown !== undefined) {
  console.error(`Error: --project takes ${Object.keys(steps).join(", ")}, not "${unknown}" [USAGE]`);
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), "microceph-test-"));

/**
 * The simulation lives on virtual time and the lab mostly waits, so of a whole run they go side by side: the
 * simulation's turn is when the lab begins, and it is told of, as one piece, when both have ended.
 */
const together = projects.includes("sim") && projects.includes("lab");
const simSays = join(folder, "sim.log");
const simulation: Step = async (args, into) =>
  (await vitest("sim", args, into, { before: outOfTheWay, env: {}, apart: simSays })).counts;
let beside: Promise<[Counts, number]> | null = null;

async function run(project: string): Promise<[Counts, number]> {
  const begin = performance.now();
  const step = project === "sim" && together ? simulation : steps[project];
  const counts = (await step?.(rest, folder)) ?? { passed: 0, failed: 1, skipped: 0 };
  return [counts, (performance.now() - begin) / 1000];
}

let sum: Counts = { passed: 0, failed: 0, skipped: 0 };
let labSkipped = 0;
const lines: string[] = [];
function note(project: string, [counts, seconds]: readonly [Counts, number]): void {
  sum = addCounts(sum, counts);
  if (["lab", "long", "vm"].includes(project)) labSkipped += counts.skipped;
  lines.push(`${project.padEnd(6)} ${summaryLine(counts)} (${seconds.toFixed(1)} s)`);
}

for (const project of projects) {
  if (project === "sim" && together) continue;
  console.log(`\n== ${project}${project === "lab" && together ? ", and sim beside it" : ""}`);
  if (project === "lab" && together) beside = run("sim");
  note(project, await run(project));
  if (project !== "lab" || beside === null) continue;
  const simulated = await beside;
  console.log(`\n== sim\n${readFileSync(simSays, "utf8")}`);
  note("sim", simulated);
}
rmSync(folder, { recursive: true, force: true });

if (told.length > 0) console.log(`\n${told.join("\n")}`);
console.log(`\n${[...lines, ...remarks].join("\n")}`);
const incomplete = labSkipped > 0 && process.env.CI === "true" && rest.length === 0;
if (incomplete)
  console.log(`Failed: ${labSkipped} tests on real Ceph were skipped, and CI=true asks for all of them.`);
console.log(summaryLine(sum));
process.exitCode = sum.failed > 0 || incomplete ? 1 : 0;
