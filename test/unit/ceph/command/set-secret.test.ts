import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { CephClient } from "../../../../src/ceph/command/ceph-client.ts";
import { cephPaths } from "../../../../src/ceph/config/ceph-paths.ts";

let state: string;

beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "set-secret-"));
  mkdirSync(cephPaths(state).run, { recursive: true });
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

it("hands a secret over standard input, to a process that dies with this one", async () => {
  const calls: { command: string[]; input: string | undefined }[] = [];
  const client = new CephClient(
    { paths: cephPaths(state) },
    {
      log: pino({ level: "silent" }),
      run: async (program, args, options) => {
        calls.push({ command: [program, ...args], input: options.input });
        expect(options.secrets).toEqual(["the secret"]);
        return { exitCode: 0, stdout: "", stderr: "" };
      },
    },
  );
  await client.setSecret("dm-crypt/osd/x/luks", "the secret");
  expect(calls).toEqual([
    {
      command: expect.arrayContaining(["setpriv", "--pdeathsig", "-i", "-", "config-key", "set"]),
      input: "the secret",
    },
  ]);
  expect(calls.flatMap(({ command }) => command)).not.toContain("the secret");
  await client.stop();
});
