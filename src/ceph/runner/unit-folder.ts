import { createHash } from "node:crypto";
import { mkdir, readdir, rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { MicrocephError } from "../../errors/microceph-error.ts";
import { readFileIfPresent, writeFileAtomic } from "../../files/atomic-file.ts";
import { exists } from "../../files/exists.ts";
import { programEnvironment } from "../../process/program-environment.ts";
import { type ProcessRecord, parseProcessRecord } from "./processes.ts";
import type { UnitSpec } from "./runner.ts";

const specSchema = z.object({
  argv: z.tuple([z.string().min(1)], z.string()),
  env: z.record(z.string(), z.string()).optional(),
  cwd: z.string().optional(),
  stopSeconds: z.number().optional(),
});

const stateSchema = z.enum(["starting", "running", "waiting", "stopping", "stopped"]);

/** `status` as the supervisor script writes it. */
const statusSchema = z.object({
  v: z.literal(1),
  state: stateSchema,
  pid: z.int().nullable(),
  restarts: z.int(),
  lastExit: z.int().nullable(),
  reason: z.string().max(1000),
  since: z.int(),
});

export type WrittenStatus = z.infer<typeof statusSchema>;

export const defaultStopSeconds = 20;

const unitPattern = /^[a-z][a-z0-9-]{0,30}(\.[A-Za-z0-9][A-Za-z0-9_-]{0,99})?$/;

/** Throws USAGE for a name that is no unit's: names become folders. */
export function checkUnitName(unit: string): void {
  if (!unitPattern.test(unit)) {
    throw new MicrocephError("USAGE", "not the name of a unit", { data: { unit: unit.slice(0, 120) } });
  }
}

/** Identity of a spec: equal for equal programs, arguments, environment and folder, in whatever key order. */
export function specHash(spec: UnitSpec): string {
  const env = Object.entries(spec.env ?? programEnvironment()).sort(([a], [b]) => (a < b ? -1 : 1));
  const canonical = JSON.stringify([spec.argv, env, spec.cwd ?? "/", spec.stopSeconds ?? defaultStopSeconds]);
  return createHash("sha256").update(canonical).digest("hex").slice(0, 32);
}

/** A word for sh that stands for exactly this text. */
export function quoteForShell(text: string): string {
  if (text.includes("\0")) throw new MicrocephError("USAGE", "an argument must not hold a NUL");
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * The script that becomes the program. It records its own process first, so that no program ever runs
 * unrecorded; `exec` keeps the process number.
 */
export function renderRunScript(spec: UnitSpec): string {
  const environment = Object.entries(spec.env ?? programEnvironment()).map(([name, value]) => {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      throw new MicrocephError("USAGE", "not the name of an environment variable", { data: { name } });
    }
    return quoteForShell(`${name}=${value}`);
  });
  const words = ["exec", "env", "-i", ...environment, ...spec.argv.map(quoteForShell)];
  if (spec.argv[0].includes("=")) throw new MicrocephError("USAGE", "a program's name must not hold '='");
  return `#!/bin/sh
# Written by microcephd; spec.json says the same in JSON.
set -uf
read -r line <"/proc/$$/stat" || exit 71
# shellcheck disable=SC2086
set -- \${line##*) }
read -r boot </proc/sys/kernel/random/boot_id
printf '%s %s %s %s\\n' $$ "\${20}" "$boot" ${specHash(spec)} >.child.new || exit 71
mv -f .child.new child || exit 71
cd ${quoteForShell(spec.cwd ?? "/")} || exit 71
${words.join(" ")}
`;
}

/** The files of one unit. Everything in it is written as a whole or not at all. */
export class UnitFolder {
  readonly unit: string;
  readonly path: string;

  constructor(supervisors: string, unit: string) {
    checkUnitName(unit);
    this.unit = unit;
    this.path = join(supervisors, unit);
  }

  async exists(): Promise<boolean> {
    return exists(this.path);
  }

  /** The spec last written; undefined when there is none or only half a folder. */
  async spec(): Promise<UnitSpec | undefined> {
    const parsed = parseJson(await readFileIfPresent(join(this.path, "spec.json")), specSchema);
    if (!parsed) return undefined;
    const { argv, env, cwd, stopSeconds } = parsed;
    return {
      argv,
      ...(env === undefined ? {} : { env }),
      ...(cwd === undefined ? {} : { cwd }),
      ...(stopSeconds === undefined ? {} : { stopSeconds }),
    };
  }

  /** Write what the supervisor runs; spec.json is last, so a folder with it is whole. */
  async write(spec: UnitSpec): Promise<void> {
    await mkdir(this.path, { recursive: true, mode: 0o700 });
    await writeFileAtomic(join(this.path, "run.sh"), renderRunScript(spec), 0o600);
    await writeFileAtomic(join(this.path, "spec.json"), `${JSON.stringify(spec)}\n`, 0o600);
  }

  async status(): Promise<WrittenStatus | undefined> {
    return parseJson(await readFileIfPresent(join(this.path, "status")), statusSchema);
  }

  async supervisor(): Promise<ProcessRecord | undefined> {
    return parseProcessRecord(await readFileIfPresent(join(this.path, "supervisor.pid")));
  }

  async child(): Promise<ProcessRecord | undefined> {
    return parseProcessRecord(await readFileIfPresent(join(this.path, "child")));
  }

  /** While this stands, no supervisor starts the program, whoever started the supervisor. */
  async forbid(): Promise<void> {
    await writeFileAtomic(join(this.path, "stop"), "");
  }

  async forbidden(): Promise<boolean> {
    return (await readFileIfPresent(join(this.path, "stop"))) !== undefined;
  }

  async allow(): Promise<void> {
    await unlink(join(this.path, "stop")).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

/** Names of the units in the folder, sorted; anything else in it is left out. */
export async function unitNames(supervisors: string): Promise<string[]> {
  const entries = await readdir(supervisors, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory() && unitPattern.test(entry.name))
    .map(({ name }) => name)
    .sort();
}

function parseJson<T>(text: string | undefined, schema: z.ZodType<T>): T | undefined {
  if (text === undefined) return undefined;
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
