import { describe, expect, it } from "vitest";
import type { CephCommands } from "../../../../src/ceph/command/commands.ts";
import { refusedError } from "../../../../src/ceph/command/words.ts";
import { keyOf, makeCephKey } from "../../../../src/ceph/config/keyring.ts";
import { giveBack } from "../../../../src/daemon/backup/give-back.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";

const key = (seconds: number): string => makeCephKey((size) => new Uint8Array(size), seconds * 1000);
const records = {
  auth: [
    { entity: "client.admin", key: key(1), caps: {} },
    { entity: "osd.3", key: key(2), caps: {} },
    { entity: "client.rgw.n1", key: key(3), caps: {} },
    { entity: "client.alice", key: key(4), caps: { mon: "allow r" } },
    { entity: "client.known", key: key(5), caps: { mon: "allow r" } },
  ],
  settings: [
    { section: "osd", name: "osd_max_backfills", value: "3", mask: "" },
    { section: "osd", name: "set_since", value: "old", mask: "" },
    { section: "mds", name: "gone_option", value: "1", mask: "host:n1" },
  ],
  keyStore: { "dm-crypt/osd/u/luks": "secret", "set/since": "old" },
};

/** Monitors that know a little; they die at their nth change. */
class Monitors {
  readonly keys = new Map([["client.known", key(50)]]);
  readonly settings = new Map([["osd set_since", "new"]]);
  readonly store = new Map([["set/since", "new"]]);
  acts = 0;
  diesAt = 0;

  #act(change: () => void): void {
    this.acts += 1;
    if (this.acts === this.diesAt) throw new MicrocephError("CEPH_UNREACHABLE", "gone");
    change();
  }

  readonly ceph = {
    secret: async (name: string) => this.store.get(name),
    setSecret: async (name: string, value: string) => this.#act(() => this.store.set(name, value)),
    run: async (words: readonly string[]) => {
      if (this.keys.has(words[2] ?? "")) return null;
      throw refusedError(words, { errno: "ENOENT", message: "failed to find it" });
    },
    runWithInput: async (_words: readonly string[], input: string) =>
      this.#act(() => {
        const entity = /\[(.*)\]/.exec(input)?.[1] ?? "";
        this.keys.set(entity, keyOf(input, entity) ?? "");
      }),
    configGet: async (who: string, name: string) => this.settings.get(`${who} ${name}`),
    configSet: async (who: string, name: string, value: string) => {
      if (name === "gone_option") throw refusedError(["config", "set"], { errno: "EINVAL", message: "?" });
      this.#act(() => this.settings.set(`${who} ${name}`, value));
    },
  } as unknown as CephCommands;
}

const { signal } = new AbortController();

describe("what a backup knew and the monitors of today do not", () => {
  it("is given back; what they know by now stays, and daemons' keys are their nodes' affair", async () => {
    const monitors = new Monitors();
    const { given, refused } = await giveBack(monitors.ceph, records, signal);
    expect([given, refused]).toEqual([3, ["config mds/host:n1 gone_option"]]);
    expect(Object.fromEntries(monitors.keys)).toEqual({ "client.known": key(50), "client.alice": key(4) });
    expect(monitors.settings.get("osd set_since")).toBe("new");
    expect(monitors.settings.get("osd osd_max_backfills")).toBe("3");
    expect(Object.fromEntries(monitors.store)).toEqual({
      "dm-crypt/osd/u/luks": "secret",
      "set/since": "new",
    });
  });

  it.each([1, 2, 3])("is completed by another run when the monitors went away at change %i", async (at) => {
    const monitors = new Monitors();
    monitors.diesAt = at;
    await expect(giveBack(monitors.ceph, records, signal)).rejects.toMatchObject({
      code: "CEPH_UNREACHABLE",
    });
    monitors.diesAt = 0;
    await giveBack(monitors.ceph, records, signal);
    expect([monitors.keys.size, monitors.settings.size, monitors.store.size]).toEqual([2, 2, 2]);
  });
});
