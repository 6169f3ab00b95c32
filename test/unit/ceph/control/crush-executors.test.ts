import { beforeEach, describe, expect, it } from "vitest";
import type { CephCommands, CrushBucket } from "../../../../src/ceph/command/commands.ts";
import { crushExecutors } from "../../../../src/ceph/control/crush-executors.ts";
import { kinds } from "../../../../src/ceph/control/decisions.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";
import type { Json } from "../../../../src/ids/json.ts";
import type { Entry } from "../../../../src/state/journal/types.ts";

let buckets: CrushBucket[];
let commands: string[];
let refusal: string | null;

const ceph = {
  osdTree: async () => ({ osds: [], hosts: [], buckets }),
  run: async (words: readonly string[]) => {
    commands.push(words.join(" "));
    if (refusal !== null) throw new MicrocephError("CEPH_REFUSED", "refused", { data: { errno: refusal } });
    return null;
  },
} as unknown as CephCommands;

async function carryOut(body: Json) {
  const executor = crushExecutors({ ceph: () => ceph, callMs: () => 1000 })[kinds.topology];
  return executor?.({ body } as Entry, new AbortController().signal);
}

beforeEach(() => {
  buckets = [{ name: "n1", type: "host", parent: "default", items: 1 }];
  commands = [];
  refusal = null;
});

describe("decisions about the tree", () => {
  it("makes the rack and puts the host into it", async () => {
    expect(await carryOut({ op: "place", places: [{ bucket: "n1", rack: "az.a" }] })).toMatchObject({
      state: "done",
    });
    expect(commands).toEqual([
      "osd crush add-bucket az.a rack",
      "osd crush move az.a root=default",
      "osd crush move n1 rack=az.a",
    ]);
  });

  it("takes a host out of its rack", async () => {
    buckets = [{ name: "n1", type: "host", parent: "az.a", items: 1 }];
    await carryOut({ op: "place", places: [{ bucket: "n1", rack: null }] });
    expect(commands).toEqual(["osd crush move n1 root=default"]);
  });

  it.each(["row7", null])("touches no host that was put into %s meanwhile", async (parent) => {
    buckets = [{ name: "n1", type: "host", parent, items: 1 }];
    expect(await carryOut({ op: "place", places: [{ bucket: "n1", rack: "az.a" }] })).toMatchObject({
      state: "abandoned",
    });
    expect(commands).toEqual([]);
  });

  it("removes an empty bucket, and is done when it is gone already", async () => {
    expect(await carryOut({ op: "remove", bucket: "n1" })).toMatchObject({ state: "done" });
    expect(commands).toEqual(["osd crush rm n1"]);
    buckets = [];
    expect(await carryOut({ op: "remove", bucket: "n1" })).toMatchObject({ state: "done" });
    expect(commands).toHaveLength(1);
  });

  it("leaves a bucket that is no longer empty", async () => {
    refusal = "ENOTEMPTY";
    expect(await carryOut({ op: "remove", bucket: "n1" })).toMatchObject({ state: "abandoned" });
  });
});
