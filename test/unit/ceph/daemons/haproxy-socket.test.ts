import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { haproxyDescription } from "../../../../src/ceph/daemons/haproxy-socket.ts";

let folder: string;
let server: Server | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "microceph-haproxy-"));
});
afterEach(async () => {
  server?.close();
  await rm(folder, { recursive: true, force: true });
});

const path = (): string => join(folder, "socket");
async function answering(text: string): Promise<void> {
  const one = createServer((socket) => {
    // Who has read enough hangs up.
    socket.on("error", () => socket.destroy());
    socket.once("data", () => socket.end(text));
  });
  server = one;
  await new Promise<void>((resolve) => one.listen(path(), resolve));
}

it.each([
  ["that has one", "Name: HAProxy\nnode: n1\ndescription: abc\nUptime_sec: 4\n", "abc"],
  ["that has an empty one", "Name: HAProxy\ndescription: \n", ""],
  ["that has none", "Name: HAProxy\n", null],
  ["without an end", `${"x".repeat(200_000)}\ndescription: abc\n`, null],
])("an answer %s is read", async (_what, answer, description) => {
  await answering(answer);
  expect(await haproxyDescription(path())).toBe(description);
});

it("nobody there says nothing", async () => {
  expect(await haproxyDescription(path())).toBeNull();
});
