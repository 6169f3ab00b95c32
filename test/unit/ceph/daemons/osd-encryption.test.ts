import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  type EncryptedOsd,
  ensureKey,
  type KeyStore,
  keyPath,
  rotateKey,
} from "../../../../src/ceph/daemons/osd-encryption.ts";
import { makeLuksKey } from "../../../../src/ceph/disks/luks.ts";
import type { RunResult, runProgram } from "../../../../src/process/run-program.ts";

const uuid = "00000000-0000-4000-8000-000000000001";
const target: EncryptedOsd = {
  osd: 1,
  uuid,
  devices: [
    { role: "osd", path: "/dev/a" },
    { role: "osd.db", path: "/dev/b" },
  ],
};
const makeKey = (): string => makeLuksKey(randomBytes);

/** Devices with key slots and the monitors' store; the acts of both are counted, and one may be the last. */
class World implements KeyStore {
  readonly kept = new Map<string, string>();
  readonly slots = new Map(target.devices.map(({ path }) => [path, new Set<string>()]));
  acts = 0;
  crashAt = Number.POSITIVE_INFINITY;
  /** Looked at after every act. */
  watch: () => void = () => undefined;

  #act(change: () => void): void {
    if (this.acts >= this.crashAt) throw new Error("crash");
    this.acts += 1;
    change();
    this.watch();
  }

  async secret(key: string): Promise<string | undefined> {
    return this.kept.get(key);
  }
  async setSecret(key: string, value: string): Promise<void> {
    this.#act(() => this.kept.set(key, value));
  }
  async removeSecret(key: string): Promise<void> {
    this.#act(() => this.kept.delete(key));
  }

  readonly run: typeof runProgram = async (_program, args, { input = "" }): Promise<RunResult> => {
    const verb = args[0] ?? "";
    const slots = this.slots.get(args.at(-1) ?? "") ?? new Set();
    const [first = "", second = ""] = input.split("\n");
    let exitCode = 0;
    if (verb === "open") exitCode = slots.has(first) ? 0 : 2;
    else if (verb === "luksAddKey") {
      if (!slots.has(first)) throw new Error("no key available");
      this.#act(() => slots.add(second));
    } else if (verb === "luksRemoveKey") this.#act(() => slots.delete(first));
    else if (verb !== "isLuks") throw new Error(`unexpected ${verb}`);
    return { exitCode, stdout: "", stderr: "" };
  };

  /** Every device opens with a key that the monitors keep: the data can be read whatever happens next. */
  readable(): boolean {
    const keys = new Set(this.kept.values());
    return [...this.slots.values()].every((slots) => [...slots].some((key) => keys.has(key)));
  }
}

async function encrypted(): Promise<{ world: World; first: string }> {
  const world = new World();
  const first = await ensureKey(world, uuid, makeKey);
  for (const slots of world.slots.values()) slots.add(first);
  world.acts = 0;
  return { world, first };
}

describe("the key of an encrypted OSD", () => {
  it("is made once", async () => {
    const { world, first } = await encrypted();
    expect(await ensureKey(world, uuid, makeKey)).toBe(first);
    expect(world.kept.get(keyPath(uuid))).toBe(first);
  });

  it("is changed on every device, and the old one opens none", async () => {
    const { world, first } = await encrypted();
    await rotateKey(world, world, target, makeKey);
    const [next] = [...world.kept.values()];
    expect([...world.kept.keys()]).toEqual([keyPath(uuid)]);
    expect(next).not.toBe(first);
    for (const slots of world.slots.values()) expect([...slots]).toEqual([next]);
  });

  it("is changed completely by the next run after a crash at any act, and never lost", async () => {
    const { world: whole } = await encrypted();
    await rotateKey(whole, whole, target, makeKey);
    expect(whole.acts).toBeGreaterThan(7);
    for (let crashAt = 0; crashAt < whole.acts; crashAt += 1) {
      const { world, first } = await encrypted();
      world.watch = () => expect(world.readable(), `crash at ${crashAt}, act ${world.acts}`).toBe(true);
      world.crashAt = crashAt;
      await expect(rotateKey(world, world, target, makeKey), `crash at ${crashAt}`).rejects.toThrow("crash");
      world.crashAt = Number.POSITIVE_INFINITY;
      await rotateKey(world, world, target, makeKey);
      const keys = [...world.kept.values()];
      expect([...world.kept.keys()], `crash at ${crashAt}`).toEqual([keyPath(uuid)]);
      expect(keys, `crash at ${crashAt}`).not.toContain(first);
      for (const slots of world.slots.values()) expect([...slots], `crash at ${crashAt}`).toEqual(keys);
    }
  });
});
