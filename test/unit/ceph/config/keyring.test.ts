import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import {
  isCephKey,
  type KeyringEntry,
  keyOf,
  makeCephKey,
  renderKeyring,
} from "../../../../src/ceph/config/keyring.ts";

const key = makeCephKey((size) => Buffer.alloc(size, 0xab), 0x01020304 * 1000);

describe("a cephx key", () => {
  it("has type, time, length and 16 random bytes", () => {
    expect(Buffer.from(key, "base64").toString("hex")).toBe(
      // type 1, seconds, nanoseconds 0, length 16, the key
      `0100${"04030201"}00000000${"1000"}${"ab".repeat(16)}`,
    );
  });

  it.each([
    [key, true],
    ["AQDr2QNrYgoyFxAA19nBg/x6koVQ/v/5Rs7JeA==", true],
    ["", false],
    [key.slice(0, -2), false],
    [`${key}\n`, false],
    [Buffer.alloc(28).toString("base64"), false],
    [null, false],
  ])("%j: is one %s", (text, expected) => {
    expect(isCephKey(text)).toBe(expected);
  });
});

describe("a keyring", () => {
  const entries: KeyringEntry[] = [
    { entity: "mon.", key, capabilities: { mon: "allow *" } },
    { entity: "osd.3", key },
  ];

  it("lists keys and capabilities", () => {
    expect(renderKeyring(entries)).toBe(
      `[mon.]\n\tkey = ${key}\n\tcaps mon = "allow *"\n[osd.3]\n\tkey = ${key}\n`,
    );
  });

  it("is read back", () => {
    const text = renderKeyring(entries);
    expect(keyOf(text, "osd.3")).toBe(key);
    expect(keyOf(text, "osd.4")).toBeUndefined();
  });

  it.each<KeyringEntry>([
    { entity: "mon.]\n[client.admin", key },
    { entity: "mon.", key: `${key}\n` },
    { entity: "mon.", key, capabilities: { mon: 'allow *"\n' } },
    { entity: "mon.", key, capabilities: { "mon\n": "allow *" } },
  ])("refuses what would break out of its line: %j", (entry) => {
    expect(() => renderKeyring([entry])).toThrowError(expect.objectContaining({ code: "USAGE" }));
  });
});
