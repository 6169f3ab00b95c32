import type { Program } from "../process/programs.ts";
import { runProgram } from "../process/run-program.ts";

export interface ProgramVersions {
  /** Empty when not installed. */
  readonly ceph: string;
  readonly etcd: string;
}

const deadlineMs = 10_000;

async function versionOf(program: Program, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await runProgram(program, args, { deadlineMs });
    return /\b(\d+\.\d+\.\d+)\b/.exec(stdout)?.[1] ?? "";
  } catch {
    return "";
  }
}

/** As it says itself; empty when it is not installed. */
export function etcdVersion(): Promise<string> {
  return versionOf("etcd", ["--version"]);
}

/** What Ceph's programs say of themselves now, in full; empty when they are not installed. */
export async function cephBuild(): Promise<string> {
  return runProgram("ceph-mon", ["--version"], { deadlineMs })
    .then(({ stdout }) => stdout.split("\n")[0]?.trim() ?? "")
    .catch(() => "");
}

/** Versions of the installed programs, as they say themselves. */
export async function programVersions(): Promise<ProgramVersions> {
  const [ceph, etcd] = await Promise.all([versionOf("ceph-mon", ["--version"]), etcdVersion()]);
  return { ceph, etcd };
}
