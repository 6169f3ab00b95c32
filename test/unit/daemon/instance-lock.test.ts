import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { InstanceLock } from "../../../src/daemon/instance-lock.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lock-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const taken = expect.objectContaining({ code: "DAEMON_RUNNING" });

describe("one daemon per state directory", () => {
  it("refuses the second, and only there", () => {
    const other = mkdtempSync(join(folder, "other-"));
    const first = InstanceLock.take(folder);
    const elsewhere = InstanceLock.take(other);
    expect(() => InstanceLock.take(folder)).toThrow(taken);
    // A refused one leaves the first one's lock alone.
    expect(() => InstanceLock.take(folder)).toThrow(taken);
    first.release();
    InstanceLock.take(folder).release();
    elsewhere.release();
  });

  it("is free again when its process was killed", async () => {
    const module = fileURLToPath(new URL("../../../src/daemon/instance-lock.ts", import.meta.url));
    const code = `import { InstanceLock } from ${JSON.stringify(module)};
      // Kept: what nobody holds is collected, and its lock with it.
      globalThis.lock = InstanceLock.take(${JSON.stringify(folder)}); console.log("held"); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", code], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "exit");
    try {
      await once(child.stdout, "data");
      expect(() => InstanceLock.take(folder)).toThrow(taken);
    } finally {
      child.kill("SIGKILL");
    }
    await ended;
    InstanceLock.take(folder).release();
  });

  it("says what is wrong when there is no such directory", () => {
    expect(() => InstanceLock.take(join(folder, "none"))).toThrow(
      expect.objectContaining({ code: "PERMISSION_DENIED" }),
    );
  });

  it.skipIf(process.getuid?.() === 0)("says so where it may not write", () => {
    chmodSync(folder, 0o500);
    expect(() => InstanceLock.take(folder)).toThrow(expect.objectContaining({ code: "PERMISSION_DENIED" }));
    chmodSync(folder, 0o700);
  });
});
