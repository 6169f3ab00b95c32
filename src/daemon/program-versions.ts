import { runProgram } from "../process/run-program.ts";

export interface ProgramVersions {
  /** Empty when not installed. */
  readonly ceph: string;
  readonly etcd: string;
}

const deadlineMs = 10_000;

async function versionOf(program: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await runProgram(program, args, { deadlineMs });
    return /\b(\d+\.\d+\.\d+)\b/.exec(stdout)?.[1] ?? "";
  } catch {
    return "";
  }
}

/** Versions of the installed programs, as they say themselves. */
export async function programVersions(): Promise<ProgramVersions> {
  const [ceph, etcd] = await Promise.all([
    versionOf("ceph-mon", ["--version"]),
    versionOf("etcd", ["--version"]),
  ]);
  return { ceph, etcd };
}
