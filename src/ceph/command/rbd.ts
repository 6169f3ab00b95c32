import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { isMicrocephError, MicrocephError } from "../../errors/microceph-error.ts";
import { runProgram } from "../../process/run-program.ts";
import type { CephPaths } from "../config/ceph-paths.ts";
import type { CallOptions } from "./commands.ts";

/** How another cluster is reached, and as whom. */
export interface ForeignAccess {
  /** Its monitors: `[v2:192.0.2.1:3300/0,v1:192.0.2.1:6789/0],…`. */
  readonly monHost: string;
  /** Without `client.`. */
  readonly client: string;
  readonly key: string;
}

/** Arguments with which any program of Ceph reaches this node's own cluster, as its administrator. */
export function adminConnection(paths: Pick<CephPaths, "cephConf" | "adminKeyring">): string[] {
  return ["-c", paths.cephConf, "-n", "client.admin", "--keyring", paths.adminKeyring];
}

/** A program of Ceph against one cluster: `rbd` (rbd(8)), or `ceph`. */
export class CephProgram {
  readonly #connection: readonly string[];
  readonly #secrets: readonly string[];

  private constructor(connection: readonly string[], secrets: readonly string[]) {
    this.#connection = connection;
    this.#secrets = secrets;
  }

  /** This node's own cluster, as its administrator. */
  static own({ cephConf, adminKeyring }: Pick<CephPaths, "cephConf" | "adminKeyring">): CephProgram {
    return new CephProgram(adminConnection({ cephConf, adminKeyring }), []);
  }

  /** Another cluster, for as long as the work takes: the key is in a file that nobody else may read. */
  static async foreign<T>(
    { run }: Pick<CephPaths, "run">,
    { monHost, client, key }: ForeignAccess,
    work: (program: CephProgram) => Promise<T>,
  ): Promise<T> {
    return withKeyFile({ run }, key, (file) => {
      // Its own ceph.conf is not for that cluster.
      const connection = ["-c", "/dev/null", "--mon-host", monHost, "--id", client, "--keyfile", file];
      return work(new CephProgram(connection, [key]));
    });
  }

  /** Throws CEPH_REFUSED with the words of the program (data: errno), DEADLINE_EXCEEDED, CANCELLED, MISSING_PROGRAM. */
  async text(program: "rbd" | "ceph", words: readonly string[], call: CallOptions = {}): Promise<string> {
    const { deadlineMs = 30_000, signal } = call;
    try {
      const { stdout } = await runProgram(program, [...this.#connection, ...words], {
        ...{ deadlineMs, secrets: this.#secrets },
        ...(signal === undefined ? {} : { signal }),
      });
      return stdout;
    } catch (error) {
      if (!isMicrocephError(error, "PROGRAM_FAILED")) throw error;
      const { exitCode, stderr } = error.data as { exitCode?: number | null; stderr?: string };
      // The exit code of `rbd` is Ceph's errno; the lines before the last are its log.
      const said = (stderr ?? "").trim().split("\n").at(-1) ?? "";
      throw new MicrocephError("CEPH_REFUSED", said === "" ? error.message : said.slice(0, 500), {
        ...{ cause: error, data: { errno: errnoOf(exitCode) } },
      });
    }
  }

  async json(program: "rbd" | "ceph", words: readonly string[], call: CallOptions = {}): Promise<unknown> {
    const text = await this.text(program, [...words, "--format", "json"], call);
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new MicrocephError("CEPH_REFUSED", `what ${program} answered is no JSON`, { cause: error });
    }
  }
}

/** `ENOENT` of 2; null of what is no errno. */
function errnoOf(exitCode: number | null | undefined): string | null {
  return Object.entries(constants.errno).find(([, number]) => number === exitCode)?.[0] ?? null;
}

/** A key in a file for programs that read it there; it is gone afterwards. */
export async function withKeyFile<T>(
  { run }: Pick<CephPaths, "run">,
  key: string,
  work: (file: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(run, "key-"));
  try {
    const file = join(folder, "key");
    await writeFile(file, key, { mode: 0o600 });
    return await work(file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
