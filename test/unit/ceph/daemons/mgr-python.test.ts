import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cephPaths } from "../../../../src/ceph/config/ceph-paths.ts";
import { prepareMgrPython } from "../../../../src/ceph/daemons/mgr-python.ts";
import { handle } from "../../../../src/ids/ids.ts";

let folder: string;
let env: Readonly<Record<string, string>>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "mgr-python-"));
  env = await prepareMgrPython({ paths: cephPaths(folder) }, handle("n1"));
});
afterEach(() => rm(folder, { recursive: true }));

/** A bcrypt of the system that does this when it is loaded. */
async function systemHas(text: string): Promise<string> {
  const system = join(folder, "system");
  await mkdir(join(system, "bcrypt"), { recursive: true });
  await writeFile(join(system, "bcrypt", "__init__.py"), text);
  return system;
}

async function python(system: string, script: string): Promise<string> {
  const { stdout } = await promisify(execFile)("python3", ["-c", script], {
    env: { PATH: process.env.PATH, ...env, PYTHONPATH: `${env.PYTHONPATH}:${system}` },
  });
  return stdout.trim();
}

const refusal = 'raise ImportError("PyO3 modules do not yet support subinterpreters")';

describe("the bcrypt that a manager finds first", () => {
  it("hands over to the system's where that can be loaded", async () => {
    const system = await systemHas("from . import part\ndef hashpw(a, b): return part.word\n");
    await writeFile(join(system, "bcrypt", "part.py"), 'word = "the real one"\n');
    expect(await python(system, "import bcrypt; print(bcrypt.hashpw(1, 2))")).toBe("the real one");
  });

  it.each([
    // Test vectors of crypt_blowfish 1.3 (wrapper.c).
    ["U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"],
    ["U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"],
    ["", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy"],
  ])("hashes as the system's does where that refuses: %j", async (password, salt, hashed) => {
    const system = await systemHas(refusal);
    const script = `import bcrypt; print(bcrypt.hashpw(b${JSON.stringify(password)}, b"${salt}").decode())`;
    expect(await python(system, script)).toBe(hashed);
  });

  it("makes salts of its own, checks, and refuses what is none", async () => {
    const system = await systemHas(refusal);
    const script = [
      "import bcrypt",
      "h = bcrypt.hashpw(b'right', bcrypt.gensalt(4))",
      "print(len(h), h != bcrypt.hashpw(b'right', bcrypt.gensalt(4)), bcrypt.checkpw(b'right', h), bcrypt.checkpw(b'wrong', h))",
      "for salt in (b'', b'$1$abc', b'nonsense', b'$2b$99$abc'):",
      "    try: print(bcrypt.hashpw(b'x', salt))",
      "    except ValueError as error: print(error)",
    ].join("\n");
    expect(await python(system, script)).toBe(
      ["60 True True False", ...Array(4).fill("Invalid salt")].join("\n"),
    );
  });

  it("does without any of the system's, and is written once", async () => {
    expect(await python("/nowhere", "import bcrypt; print(bcrypt.gensalt().decode()[:7])")).toBe("$2b$12$");
    const path = join(env.PYTHONPATH ?? "", "bcrypt.py");
    const before = await stat(path);
    expect(await prepareMgrPython({ paths: cephPaths(folder) }, handle("n1"))).toEqual(env);
    expect((await stat(path)).ino).toBe(before.ino);
    expect(await readdir(env.PYTHONPATH ?? "")).toEqual(["bcrypt.py"]);
  });
});
