import { expect, it } from "vitest";
import { makeCephKey } from "../../../src/ceph/config/keyring.ts";
import { readToken } from "../../../src/daemon/remotes.ts";

const good = {
  fsid: "5571d4e2-1440-4785-9300-178cc1e3d12e",
  monHost: "[v2:10.77.143.11:3300,v1:10.77.143.11:6789]",
  client: "remote-magical",
  key: makeCephKey((size) => new Uint8Array(size), 0),
  importer: "magical",
};
const token = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64");

it("a token says how the other site is reached, and as whom", () => {
  expect(readToken(` ${token(good)}\n`)).toEqual(good);
});

it.each([
  ["what is no base64", "%%%"],
  ["other JSON", token({ fsid: good.fsid })],
  ["an option in the addresses", token({ ...good, monHost: "--conf=/etc/passwd x" })],
  ["another client", token({ ...good, client: "admin" })],
  ["what is no key", token({ ...good, key: "secret" })],
])("%s is refused", (_what, text) => {
  expect(() => readToken(text)).toThrow(expect.objectContaining({ code: "USAGE" }));
});
