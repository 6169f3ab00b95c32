import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../run.ts";

/**
 * The distribution's packages, asked for as by a machine that has none installed, and without root: lists and files
 * are in a folder of ours. What is there already is not fetched again; apt checks each file's hash.
 */
export class Archive {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    for (const name of ["lists/partial", "debs/partial"]) mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, "no-packages"), "");
  }

  /** Read what the archive has today. */
  update(): void {
    this.#apt("update", "-qq");
  }

  /** These packages and all that they depend on: names of files, as `ceph-mon_16.2.15+ds-0+deb12u2_amd64.deb`, sorted. */
  closure(packages: readonly string[]): string[] {
    const lines = this.#apt("install", "-qq", "-y", "--reinstall", "--print-uris", ...packages).split("\n");
    const missing = lines.flatMap((line) => /^'[^']*' (\S+\.deb) /.exec(line)?.[1] ?? []);
    // What is in the folder has no address any more: the simulation names all, with their versions.
    const all = this.#apt("install", "-qq", "-s", ...packages)
      .split("\n")
      .flatMap((line) => /^Inst (\S+) \((\S+) .*\[(\S+)\]/.exec(line) ?? [])
      .filter((_, index) => index % 4 !== 0);
    const files: string[] = [];
    for (let at = 0; at + 2 < all.length; at += 3) {
      const [name = "", version = "", architecture = ""] = all.slice(at, at + 3);
      files.push(`${name.split(":")[0]}_${version.replaceAll(":", "%3a")}_${architecture}.deb`);
    }
    for (const file of missing) if (!files.includes(file)) throw new Error(`apt names ${file} only once`);
    return files.sort();
  }

  /** Fetch these packages and all that they depend on. */
  fetch(packages: readonly string[]): void {
    this.#apt("install", "-qq", "-y", "--download-only", ...packages);
  }

  /** Unpack files of `closure` over one another, as they lie in the archive: nothing of theirs is run. */
  unpack(files: readonly string[], target: string): void {
    mkdirSync(target, { recursive: true });
    for (const file of files) run("dpkg-deb", ["-x", join(this.#folder, "debs", file), target]);
  }

  #apt(verb: string, ...args: readonly string[]): string {
    const folder = this.#folder;
    const options = [
      `Dir::State::lists=${folder}/lists`,
      `Dir::State::status=${folder}/no-packages`,
      `Dir::State::extended_states=${folder}/extended-states`,
      `Dir::Cache::archives=${folder}/debs`,
      `Dir::Cache::pkgcache=`,
      `Dir::Cache::srcpkgcache=`,
      "Debug::NoLocking=true",
      "APT::Install-Recommends=false",
      "APT::Install-Suggests=false",
      "APT::Sandbox::User=root",
    ];
    return run("apt-get", [...options.flatMap((option) => ["-o", option]), verb, ...args]);
  }
}
