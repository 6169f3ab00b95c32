import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { labelInWords, parseBluestoreLabel } from "../../../../src/ceph/disks/bluestore-label.ts";

const uuid = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
const fsid = "11111111-2222-4333-8444-555555555555";

function text(value: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(value.length);
  return Buffer.concat([length, Buffer.from(value, "latin1")]);
}

/** As `ceph-osd --mkfs` of Ceph 16 writes it, seen on a device. */
function label(part: string, meta: Record<string, string>, inner = uuid): Buffer {
  const entries = Object.entries(meta);
  const count = Buffer.alloc(4);
  count.writeUInt32LE(entries.length);
  const body = Buffer.concat([
    Buffer.from(inner.replaceAll("-", ""), "hex"),
    Buffer.from("0000802500000000dcd0066b5f9d3116", "hex"),
    text(part),
    count,
    ...entries.flatMap(([name, value]) => [text(name), text(value)]),
  ]);
  const frame = Buffer.from([2, 1, 0, 0, 0, 0]);
  frame.writeUInt32LE(body.length, 2);
  const whole = Buffer.alloc(4096);
  Buffer.concat([Buffer.from(`bluestore block device\n${uuid}\n`), frame, body]).copy(whole);
  return whole;
}

const main = label("main", { bluefs: "1", ceph_fsid: fsid, osd_key: "c2VjcmV0", whoami: "7" });

describe("the label of BlueStore", () => {
  it("tells the OSD and its cluster, and nothing of its key", () => {
    const found = parseBluestoreLabel(main);
    expect(found).toEqual({ osdUuid: uuid, part: "main", cephFsid: fsid, osd: 7 });
    expect(found && labelInWords(found)).toBe(`osd.7 of the Ceph cluster ${fsid}`);
  });

  it.each([
    ["bluefs wal", `the WAL of the OSD with the uuid ${uuid}`],
    ["bluefs db", `the DB of the OSD with the uuid ${uuid}`],
    ["main", `the OSD with the uuid ${uuid}`],
  ])("of %s without more tells the uuid", (part, words) => {
    const found = parseBluestoreLabel(label(part, {}));
    expect(found && labelInWords(found)).toBe(words);
  });

  it("does not show what is no number and no uuid", () => {
    const odd = label("main", { ceph_fsid: "\x1b[31m", whoami: "7; rm" });
    expect(parseBluestoreLabel(odd)).toEqual({ osdUuid: uuid, part: "main", cephFsid: null, osd: null });
  });

  it.each([
    ["nothing", Buffer.alloc(4096)],
    ["an empty buffer", Buffer.alloc(0)],
    ["two uuids that differ", label("main", {}, fsid)],
    ["only its head", main.subarray(0, 62)],
    ["half of it", main.subarray(0, 150)],
    ["an odd name", label("\x1b[31m", {})],
  ])("is none with %s", (_what, bytes) => {
    expect(parseBluestoreLabel(bytes)).toBeUndefined();
  });

  it.each([0xff, 0x80, 0x01])(
    "damaged at any byte with 0x%x is read or is none, and never throws",
    (flip) => {
      for (let at = 0; at < 260; at += 1) {
        const damaged = Buffer.from(main);
        damaged[at] = (damaged[at] ?? 0) ^ flip;
        expect(() => parseBluestoreLabel(damaged), `byte ${at}`).not.toThrow();
      }
    },
  );
});
