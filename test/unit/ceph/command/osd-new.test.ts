import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { CephClient } from "../../../../src/ceph/command/ceph-client.ts";
import { cephPaths } from "../../../../src/ceph/config/ceph-paths.ts";
import { makeCephKey } from "../../../../src/ceph/config/keyring.ts";
import { MicrocephError } from "../../../../src/errors/microceph-error.ts";

const uuid = "6400a3ef-0bb2-4c04-bbc0-aeaac8618f2b";
const key = makeCephKey(randomBytes, 0);
let state: string;

beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "osd-new-"));
  mkdirSync(cephPaths(state).run, { recursive: true });
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

it.each([
  ["answers", false],
  ["fails", true],
])("hands an OSD's key over as a whole file, gone when the command %s", async (_what, fails) => {
  let path = "";
  const client = new CephClient(
    { paths: cephPaths(state) },
    {
      log: pino({ level: "silent" }),
      run: async (_program, args, options) => {
        path = args[args.indexOf("-i") + 1] ?? "";
        expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({ cephx_secret: key });
        expect(statSync(path).mode & 0o777).toBe(0o600);
        // A pipe would end early with this process, and the OSD be registered without its key.
        expect(options.input).toBeUndefined();
        expect(options.secrets).toEqual([key]);
        if (fails) throw new MicrocephError("DEADLINE_EXCEEDED", "late");
        return { exitCode: 0, stdout: '{"osdid":7}', stderr: "" };
      },
    },
  );
  const made = client.osdNew(uuid, key);
  await (fails
    ? expect(made).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" })
    : expect(made).resolves.toBe(7));
  expect(path).not.toBe("");
  expect(existsSync(path)).toBe(false);
  await client.stop();
});

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
