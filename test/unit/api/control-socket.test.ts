import { fork } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findGroup, isSocketAlive } from "../../../src/api/control-socket.ts";
import { ApiServer } from "../../../src/api/server.ts";
import { silent } from "./running-server.ts";
import { StubOperations } from "./stub-operations.ts";

let stateDir = "";
let socketPath = "";
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "mc-sock-"));
  socketPath = join(stateDir, "control.socket");
});
afterEach(() => rm(stateDir, { recursive: true, force: true }));

function newServer(path = socketPath): ApiServer {
  return new ApiServer(
    { socketPath: path, version: "0.1.0" },
    { operations: new StubOperations(), log: silent },
  );
}

/** A socket file whose owner was killed. */
async function leaveStaleSocket(): Promise<void> {
  const script = join(stateDir, "listen.cjs");
  await writeFile(script, `require("net").createServer().listen(process.argv[2], () => process.send("up"));`);
  const child = fork(script, [socketPath]);
  await new Promise((resolve) => child.once("message", resolve));
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
  await rm(script);
}

describe("the control socket", () => {
  test("has mode 0660, belongs to root's or MicroCeph's group, and goes away with the server", async () => {
    const server = newServer();
    await server.start();
    const { mode, gid } = await stat(socketPath);
    expect((mode & 0o7777).toString(8)).toBe("660");
    expect(gid).toBe(findGroup(await readFile("/etc/group", "utf8"), "microceph") ?? process.getgid?.());
    expect(await readdir(stateDir)).toEqual(["control.socket"]);
    await server.stop();
    expect(await readdir(stateDir)).toEqual([]);
  });

  test("replaces one that a killed daemon left", async () => {
    await leaveStaleSocket();
    expect(await isSocketAlive(socketPath)).toBe(false);
    const server = newServer();
    await server.start();
    expect(await isSocketAlive(socketPath)).toBe(true);
    await server.stop();
  });

  test("is refused while another daemon answers on it, which stays untouched", async () => {
    const first = newServer();
    await first.start();
    await expect(newServer().start()).rejects.toMatchObject({ code: "DAEMON_RUNNING" });
    expect(await isSocketAlive(socketPath)).toBe(true);
    await first.stop();
  });

  test("does not replace a file that is no socket", async () => {
    await writeFile(socketPath, "precious");
    await expect(newServer().start()).rejects.toMatchObject({ code: "PORT_IN_USE" });
    expect(await readFile(socketPath, "utf8")).toBe("precious");
  });

  test("does not unlink the socket of a successor", async () => {
    const server = newServer();
    await server.start();
    await rm(socketPath);
    const successor: Server = createServer();
    await new Promise<void>((resolve) => successor.listen(socketPath, resolve));
    await server.stop();
    expect(await isSocketAlive(socketPath)).toBe(true);
    await new Promise((resolve) => successor.close(resolve));
  });

  test("with a path too long for a socket is refused in words", async () => {
    await expect(newServer(`/${"x".repeat(120)}/control.socket`).start()).rejects.toMatchObject({
      code: "PATH_TOO_LONG",
    });
  });
});

test("groups are found by name", () => {
  const file = "root:x:0:\nmicroceph-old:x:5:\nmicroceph:x:998:alice\nbroken\n";
  expect(findGroup(file, "microceph")).toBe(998);
  expect(findGroup(file, "ceph")).toBeUndefined();
});
