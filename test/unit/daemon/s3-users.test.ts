import { describe, expect, it } from "vitest";
import { type AskGateways, S3Users } from "../../../src/daemon/s3-users.ts";
import { MicrocephError } from "../../../src/errors/microceph-error.ts";

const failed = (text: string): MicrocephError => new MicrocephError("PROGRAM_FAILED", text);

/** Users and the objects of their buckets, as `radosgw-admin` shows and removes them. */
class FakeGateways {
  readonly users = new Map<string, Map<string, number>>();
  /** Objects that one call removes before its deadline. */
  perCall = Number.POSITIVE_INFINITY;
  readonly asked: string[] = [];
  /** Called before each question. */
  before = (_words: string): void => {};

  readonly ask: AskGateways = async (words) => {
    const said = words.join(" ");
    this.asked.push(said);
    this.before(said);
    const value = (option: string): string =>
      words.find((word) => word.startsWith(`--${option}=`))?.slice(option.length + 3) ?? "";
    const name = value("uid");
    const buckets = this.users.get(name);
    switch (`${words[0]} ${words[1]}`) {
      case "bucket stats":
        return [...this.users].flatMap(([owner, own]) =>
          [...(name === "" || name === owner ? own : [])].map(([bucket, objects]) => ({
            ...{ bucket, owner },
            usage: { "rgw.main": { num_objects: objects, size_actual: 7 * objects } },
          })),
        );
      case "bucket rm":
        return this.#removeBucket(value("bucket"));
      case "bucket list":
        if (buckets === undefined) throw failed("could not fetch user info: no user info saved");
        return [...buckets.keys()];
      case "user info":
        if (buckets === undefined) throw failed("could not fetch user info: no user info saved");
        return { user_id: name };
      default:
        if (buckets === undefined) throw failed("could not remove user: no user info saved");
        if (buckets.size > 0 && !words.includes("--purge-data")) {
          throw failed("could not remove user: must specify purge data to remove user with buckets");
        }
        this.users.delete(name);
        return null;
    }
  };

  #removeBucket(bucket: string): null {
    const own = [...this.users.values()].find((buckets) => buckets.has(bucket));
    if (own === undefined) throw failed("could not get bucket info");
    const left = Math.max(0, (own.get(bucket) ?? 0) - this.perCall);
    if (left > 0) {
      own.set(bucket, left);
      throw new MicrocephError("DEADLINE_EXCEEDED", "radosgw-admin did not finish");
    }
    own.delete(bucket);
    return null;
  }
}

function gateways(): { readonly fake: FakeGateways; readonly users: S3Users } {
  const fake = new FakeGateways();
  fake.users.set(
    "alice",
    new Map([
      ["photos", 5],
      ["films", 2],
    ]),
  );
  fake.users.set("bob", new Map([["bobs", 1]]));
  return { fake, users: new S3Users(fake.ask, () => []) };
}

describe("a user who is removed", () => {
  it("goes with all that is in its buckets, and says how far it is; nobody else's go", async () => {
    const { fake, users } = gateways();
    fake.perCall = 2;
    const told: [number, string][] = [];
    await users.checkRemoval("alice", true);
    expect(await users.remove("alice", true, (progress, text) => told.push([progress, text]))).toEqual({
      name: "alice",
    });
    expect(told).toEqual([
      [0, "bucket photos is removed (1 of 2)"],
      [0, "3 objects are left in bucket photos"],
      [0, "1 objects are left in bucket photos"],
      [45, "bucket films is removed (2 of 2)"],
      [90, "alice is removed"],
    ]);
    expect([...fake.users.keys()]).toEqual(["bob"]);
  });

  it("keeps its buckets unless they are meant", async () => {
    const { fake, users } = gateways();
    await expect(users.checkRemoval("alice", false)).rejects.toMatchObject({ code: "USER_HAS_BUCKETS" });
    await expect(users.remove("alice", false, () => {})).rejects.toMatchObject({ code: "USER_HAS_BUCKETS" });
    await expect(users.checkRemoval("carol", true)).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(fake.asked.some((words) => words.startsWith("bucket rm"))).toBe(false);
    expect(fake.users.get("alice")?.size).toBe(2);
  });

  it("is gone when the removal runs again after an end at any question", async () => {
    for (let endAt = 1; ; endAt += 1) {
      const { fake, users } = gateways();
      let asked = 0;
      let ended = false;
      const remove = (): Promise<unknown> => users.remove("alice", true, () => {});
      fake.before = () => {
        asked += 1;
        if (asked !== endAt) return;
        ended = true;
        throw new Error("killed");
      };
      await remove().catch((error: Error) => expect(error.message).toBe("killed"));
      fake.before = () => {};
      await remove();
      expect([...fake.users.keys()]).toEqual(["bob"]);
      // Once more, after its end was not written down.
      await remove();
      if (!ended) break;
    }
  });

  it("is given up when nothing goes any more, or Ceph refuses", async () => {
    const { fake, users } = gateways();
    fake.perCall = 0;
    await expect(users.remove("alice", true, () => {})).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
    fake.before = (words) => {
      if (words.startsWith("bucket rm")) throw failed("no such pool");
    };
    await expect(users.remove("alice", true, () => {})).rejects.toMatchObject({ code: "PROGRAM_FAILED" });
    expect(fake.users.get("alice")?.get("photos")).toBe(5);
  });
});
