import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { MonitorAddress } from "../../src/ceph/command/commands.ts";
import type { PlacedMonitor } from "../../src/ceph/plan/moves.ts";
import { MicrocephError } from "../../src/errors/microceph-error.ts";
import type { RunOptions, RunResult, runProgram } from "../../src/process/run-program.ts";
import type { Caller } from "./simulated-ceph.ts";
import { readMap, type SimulatedMonitors } from "./simulated-monitors.ts";

export interface ProgramParts {
  readonly monitors: SimulatedMonitors;
  readonly isRunning: (unit: string) => boolean;
}

/** `runProgram` for the programs of Ceph that make or change something on disk. */
export function simulatedPrograms(parts: ProgramParts, caller: Caller): typeof runProgram {
  return async (program: string, args: readonly string[], options: RunOptions): Promise<RunResult> => {
    const words = program === "setpriv" ? args.slice(2) : [program, ...args];
    const what = words
      .filter(
        (word, index) =>
          index === 0 || /^(--mkfs|--create|--rm|--addv|--print|--\w+-monmap|rebuild)$/.test(word),
      )
      .slice(0, 2)
      .join(" ");
    await caller.step(`start ${what}`);
    const stdout = await act(parts, words, options);
    await caller.step(`${what}: ended`);
    return { exitCode: 0, stdout, stderr: "" };
  };
}

async function act(
  { monitors, isRunning }: ProgramParts,
  words: readonly string[],
  options: RunOptions,
): Promise<string> {
  const has = (flag: string): boolean => words.includes(flag);
  const of = (flag: string): string => words[words.indexOf(flag) + 1] ?? "";
  switch (words[0]) {
    case "monmaptool":
      return monmaptool(words);
    case "ceph-mon": {
      const home = of("--mon-data");
      if (has("--extract-monmap")) {
        await writeFile(of("--extract-monmap"), JSON.stringify(monitors.extract(of("-i"), home)));
      } else if (has("--inject-monmap")) {
        monitors.inject(of("-i"), home, readMap(of("--inject-monmap")));
      } else {
        await mkdir(join(home, "store.db"));
        await copyFile(of("--keyring"), join(home, "keyring"));
        await copyFile(of("--monmap"), join(home, "store.db", "monmap"));
      }
      return "";
    }
    case "ceph-osd":
      await writeFile(join(of("--osd-data"), "fsid"), `${of("--osd-uuid")}\n`);
      return "";
    case "ceph-objectstore-tool": {
      const osd = /(\d+)$/.exec(of("--data-path"))?.[1] ?? "";
      if (isRunning(`osd.${osd}`)) throw new Error(`the data of osd.${osd} is in use`);
      await mkdir(join(of("--mon-store-path"), "store.db"), { recursive: true });
      await writeFile(join(of("--mon-store-path"), "store.db", `maps-of-${osd}`), "");
      return "";
    }
    case "ceph-monstore-tool": {
      const folder = join(words[1] ?? "", "store.db");
      if (!readdirSync(folder).some((name) => name.startsWith("maps-of-"))) throw new Error("no maps");
      const id = /^fsid = (\S+)$/m.exec(readFileSync(options.env?.CEPH_CONF ?? "", "utf8"))?.[1] ?? "";
      const map = { fsid: id, epoch: 1, monitors: [], fresh: true, rebuilt: true };
      await writeFile(join(folder, "monmap"), JSON.stringify(map));
      return "";
    }
    default:
      throw new MicrocephError("MISSING_PROGRAM", `${words[0]} is not simulated`);
  }
}

/** Makes, shows or changes a map in a file, as its arguments say. */
function monmaptool(words: readonly string[]): string {
  const file = words.at(-1) ?? "";
  const before = existsSync(file)
    ? readMap(file)
    : { fsid: words[words.indexOf("--fsid") + 1] ?? "", epoch: 0, monitors: [] };
  if (words.includes("--print")) {
    return before.monitors
      .map(({ name, addresses }, rank) => {
        const vector = addresses.map(({ type, address }) => `${type}:${address}/0`);
        return `${rank}: [${vector.join(",")}] mon.${name}`;
      })
      .join("\n");
  }
  let monitors: readonly PlacedMonitor[] = before.monitors;
  words.forEach((word, index) => {
    const name = words[index + 1] ?? "";
    if (word === "--rm") monitors = monitors.filter((mon) => mon.name !== name);
    if (word === "--addv") monitors = [...monitors, { name, addresses: parseVector(words[index + 2] ?? "") }];
  });
  writeFileSync(file, JSON.stringify({ ...before, monitors }));
  return "";
}

function parseVector(text: string): MonitorAddress[] {
  return [...text.matchAll(/(v[12]):([^,]*?:\d+)(?=[,\]])/g)].map(([, type, address]) => ({
    type: type as "v1" | "v2",
    address: address ?? "",
  }));
}
