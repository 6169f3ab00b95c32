import { z } from "zod";
import type { S3Bucket, S3User, S3UserRow } from "../api/contract/s3.ts";
import { adminConnection } from "../ceph/command/rbd.ts";
import { isMicrocephError, MicrocephError } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";
import { runProgram } from "../process/run-program.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import type { Daemon } from "./daemon.ts";
import type { JobTools } from "./jobs.ts";
import { endpoints, placedReport } from "./placed-services.ts";
import { runtimeOf } from "./runtime-of.ts";

const callMs = 100_000;
/** Of one bucket with all that is in it; then what is left is counted, and it goes on where it was. */
const roundMs = 120_000;

const shownUser = z.object({
  user_id: z.string(),
  display_name: z.string().default(""),
  keys: z.array(z.object({ access_key: z.string(), secret_key: z.string() })).default([]),
  swift_keys: z.array(z.object({ user: z.string(), secret_key: z.string() })).default([]),
  subusers: z.array(z.object({ id: z.string() })).default([]),
});
const shownBucket = z.object({
  bucket: z.string(),
  owner: z.string().default(""),
  usage: z
    .record(
      z.string(),
      z.object({ size_actual: z.number().default(0), num_objects: z.number().default(0) }).loose(),
    )
    .default({}),
});

/** Run `radosgw-admin` and read the JSON that it prints. */
export type AskGateways = (words: readonly string[], deadlineMs: number) => Promise<unknown>;

/** Users and buckets of the S3 gateways, by `radosgw-admin` (radosgw-admin(8)). Throws GATEWAY_NEEDED. */
export class S3Users {
  readonly #ask: (words: readonly string[], user?: string) => Promise<unknown>;
  readonly #run: AskGateways;
  readonly #endpoints: () => string[];

  constructor(run: AskGateways, endpoints: () => string[]) {
    this.#run = run;
    this.#endpoints = endpoints;
    this.#ask = async (words, user = "") => {
      try {
        return await run(words, callMs);
      } catch (error) {
        throw refusal(error, user) ?? error;
      }
    };
  }

  async list(): Promise<S3UserRow[]> {
    const names = z.array(z.string()).parse(await this.#ask(["user", "list"]));
    return names.sort().map((name) => ({ name }));
  }

  /** Throws NOT_FOUND. */
  async get(name: string): Promise<S3User> {
    return this.#user(await this.#ask(["user", "info", `--uid=${name}`], name));
  }

  /** With `swift` also a key for Swift: cut off before it, `newSwiftKey` makes that. Throws NAME_TAKEN. */
  async create(name: string, displayName: string, swift: boolean): Promise<S3User> {
    const made = this.#user(
      await this.#ask(["user", "create", `--uid=${name}`, `--display-name=${displayName}`], name),
    );
    return swift ? this.newSwiftKey(name) : made;
  }

  /** Throws NOT_FOUND. */
  async addKey(name: string): Promise<S3User> {
    // `key create` makes a user that is not there no key, but says so in words of its own.
    await this.get(name);
    return this.#user(
      await this.#ask(
        ["key", "create", `--uid=${name}`, "--key-type=s3", "--gen-access-key", "--gen-secret"],
        name,
      ),
    );
  }

  /** Swift knows a user by a subuser of his, which has one key: the one that was there opens nothing any more. Throws NOT_FOUND. */
  async newSwiftKey(name: string): Promise<S3User> {
    const { subusers } = shownUser.parse(await this.#ask(["user", "info", `--uid=${name}`], name));
    const swift = `${name}:swift`;
    const words = subusers.some(({ id }) => id === swift)
      ? ["key", "create"]
      : ["subuser", "create", "--access=full"];
    return this.#user(
      await this.#ask(
        [...words, `--uid=${name}`, `--subuser=${swift}`, "--key-type=swift", "--gen-secret"],
        name,
      ),
    );
  }

  /** Refuse at once what a removal could not do. Throws NOT_FOUND, USER_HAS_BUCKETS. */
  async checkRemoval(name: string, purgeData: boolean): Promise<void> {
    await this.get(name);
    if (!purgeData && (await this.#bucketsOf(name)).length > 0) throw hasBuckets(name);
  }

  /**
   * Bucket after bucket, and then the user: cut off anywhere, it goes on where it was. Throws USER_HAS_BUCKETS,
   * DEADLINE_EXCEEDED when no object went in one round.
   */
  async remove(name: string, purgeData: boolean, report: JobTools["report"]): Promise<S3UserRow> {
    try {
      const buckets = purgeData ? await this.#bucketsOf(name) : [];
      for (const [done, bucket] of buckets.entries()) {
        const tell = (text: string): void => report(Math.floor((90 * done) / buckets.length), text);
        tell(`bucket ${bucket} is removed (${done + 1} of ${buckets.length})`);
        await this.#removeBucket(name, bucket, tell);
      }
      report(90, `${name} is removed`);
      // A bucket may have been made meanwhile.
      await this.#ask(["user", "rm", `--uid=${name}`, ...(purgeData ? ["--purge-data"] : [])], name);
    } catch (error) {
      // By the run before this one.
      if (!isMicrocephError(error, "NOT_FOUND")) throw error;
    }
    return { name };
  }

  async #removeBucket(user: string, bucket: string, tell: (text: string) => void): Promise<void> {
    let before = Number.POSITIVE_INFINITY;
    for (;;) {
      try {
        await this.#run(["bucket", "rm", `--bucket=${bucket}`, "--purge-objects"], roundMs);
        return;
      } catch (error) {
        const left = (await this.buckets([`--uid=${user}`])).find(({ name }) => name === bucket)?.objects;
        if (left === undefined) return;
        if (!isMicrocephError(error, "DEADLINE_EXCEEDED") || left >= before) throw error;
        before = left;
        tell(`${left} objects are left in bucket ${bucket}`);
      }
    }
  }

  async #bucketsOf(name: string): Promise<readonly string[]> {
    return z.array(z.string()).parse(await this.#ask(["bucket", "list", `--uid=${name}`], name));
  }

  /** Of all users, or as the words say. */
  async buckets(words: readonly string[] = []): Promise<S3Bucket[]> {
    const shown = z.array(shownBucket).parse(await this.#ask(["bucket", "stats", ...words]));
    return shown
      .map(({ bucket, owner, usage }) => {
        const parts = Object.values(usage);
        const sum = (of: "num_objects" | "size_actual"): number =>
          parts.reduce((total, part) => total + part[of], 0);
        return { name: bucket, owner, objects: sum("num_objects"), bytes: sum("size_actual") };
      })
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #user(answer: unknown): S3User {
    const { user_id, display_name, keys, swift_keys } = shownUser.parse(answer);
    return {
      ...{ name: user_id, display_name, endpoints: this.#endpoints() },
      keys: keys.map(({ access_key, secret_key }) => ({ access_key, secret_key })),
      swift_keys: swift_keys.map(({ user, secret_key }) => ({ user, secret_key })),
    };
  }
}

/** Throws GATEWAY_NEEDED at each use where no gateway is placed. */
export function s3UsersOf(cluster: ClusterRuntime, signal: AbortSignal): S3Users {
  const run: AskGateways = async (words, deadlineMs) => {
    const { nodes } = placedReport(cluster, "rgw");
    // Without one the program would make the pools itself, and wait for OSDs that are not there.
    if (nodes.every(({ state }) => state !== "placed")) {
      throw new MicrocephError("GATEWAY_NEEDED", "no S3 gateway is placed yet");
    }
    const { paths } = cluster.deps.cephNode.deps;
    const { stdout } = await runProgram(
      "radosgw-admin",
      [...words, "--format=json", ...adminConnection(paths)],
      { deadlineMs, signal },
    );
    return stdout.trim() === "" ? null : JSON.parse(stdout);
  };
  return new S3Users(run, () => endpoints(cluster));
}

/** The job of `s3 user remove`. */
export async function removeS3User(daemon: Daemon, asked: Json, { report, signal }: JobTools): Promise<Json> {
  await daemon.settled();
  const { user, purgeData } = asked as { user: string; purgeData: boolean };
  const cluster = runtimeOf(daemon);
  await cluster.whenCephAnswers(() => report(0, "waiting for Ceph"), signal);
  return s3UsersOf(cluster, signal).remove(user, purgeData, report);
}

const hasBuckets = (user: string): MicrocephError =>
  new MicrocephError("USER_HAS_BUCKETS", `the S3 user ${user} has buckets`);

/** What `radosgw-admin` says in words only, as one of our codes. */
function refusal(error: unknown, user: string): MicrocephError | null {
  if (!isMicrocephError(error, "PROGRAM_FAILED")) return null;
  const said = error.message;
  if (/no user info saved/.test(said)) return new MicrocephError("NOT_FOUND", `no S3 user ${user}`);
  if (/user: \S+ exists/.test(said))
    return new MicrocephError("NAME_TAKEN", `there is an S3 user ${user} already`);
  if (/must specify purge data/.test(said)) return hasBuckets(user);
  return null;
}
