import { describe, expect, it } from "vitest";
import { type Contents, pack, unpack } from "../../../../src/daemon/backup/contents.ts";
import { seal, unseal } from "../../../../src/daemon/backup/sealed-file.ts";
import { clusterId, handle, peerId } from "../../../../src/ids/ids.ts";

const passphrase = "correct horse battery";
/** Not what backups are made with. */
const quick = 2 ** 14;
const refused = { code: "BACKUP_REFUSED" };

describe("a sealed file", () => {
  it("opens with its passphrase alone, however that was typed", async () => {
    const content = Buffer.from("the cluster's key");
    const file = await seal(content, "café au lait", { name: "lab" }, quick);
    expect(file.includes("the cluster's key")).toBe(false);
    expect(await unseal(file, "cafe\u0301 au lait")).toEqual(content);
    await expect(unseal(file, "cafe au lait")).rejects.toMatchObject(refused);
  });

  it("is another one each time, and says what it is to anybody", async () => {
    const files = await Promise.all(
      [1, 2].map(() => seal(Buffer.from("x"), passphrase, { name: "lab" }, quick)),
    );
    expect(files[0]?.equals(files[1] ?? Buffer.alloc(0))).toBe(false);
    const [first, second] = (files[0] ?? Buffer.alloc(0)).toString("latin1").split("\n");
    expect(first).toBe("MICROCEPH-BACKUP 1");
    expect(JSON.parse(second ?? "").about).toEqual({ name: "lab" });
  });

  it("is refused after any change of any part", async () => {
    const file = await seal(Buffer.from("content"), passphrase, { name: "lab" }, quick);
    const text = file.toString("latin1");
    const changes = [
      text.replace('"lab"', '"lob"'),
      text.replace("BACKUP 1", "BACKUP 2"),
      text.replace('"N":16384', '"N":65536'),
      `${text.slice(0, -1)}${text.endsWith("a") ? "b" : "a"}`,
      text.slice(0, -1),
      text.slice(0, 30),
      "",
    ];
    for (const change of changes) {
      await expect(unseal(Buffer.from(change, "latin1"), passphrase)).rejects.toMatchObject(refused);
    }
  });

  it("cannot make its reader take all memory", async () => {
    const text = (await seal(Buffer.from("x"), passphrase, {}, quick)).toString("latin1");
    const greedy = text.replace('"N":16384', '"N":1073741824');
    await expect(unseal(Buffer.from(greedy, "latin1"), passphrase)).rejects.toMatchObject(refused);
  });

  it("takes no passphrase that is hardly one", async () => {
    await expect(seal(Buffer.from("x"), "short", {}, quick)).rejects.toMatchObject({ code: "USAGE" });
  });
});

describe("what is in it", () => {
  const contents: Contents = {
    ...{ v: 1, name: "lab", at: "2026-11-28T12:00:00.000Z", generation: 3, publicNetwork: "10.0.0.0/24" },
    key: { id: clusterId("0123456789abcdef0123456789abcdef"), publicKey: "p", privateKey: "s" },
    voters: [peerId("12D3KooWA1bCdEfGhJkLmNpQrStUvWxYz123456789ABCDEFGHJK")],
    handles: [handle("n1"), handle("n1-2")],
    ...{ etcd: Buffer.from([1, 2, 255]), document: Buffer.from([3]), ceph: null },
  };

  it("comes out as it went in", async () => {
    expect(await unpack(await pack(contents))).toEqual(contents);
  });

  it("is refused when it is not understood", async () => {
    await expect(unpack(Buffer.from("no gzip"))).rejects.toMatchObject(refused);
    const later = { ...contents, v: 2 } as unknown as Contents;
    await expect(unpack(await pack(later))).rejects.toMatchObject(refused);
  });
});
