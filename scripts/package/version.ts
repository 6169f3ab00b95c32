// The version of what is built from this checkout: before the release that it leads to.
//   version.ts          print it
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./run.ts";

export interface BuildVersion {
  /** As Debian and snapd order them: `0.1.0~202611290034.d2a4abc1`. */
  readonly version: string;
  /** Seconds since 1970: of every file that is built. */
  readonly epoch: number;
  /** Whether the checkout has changes that are not committed. */
  readonly changed: boolean;
}

export function buildVersion(root: string): BuildVersion {
  const git = (...args: string[]): string => run("git", ["-C", root, ...args]).trim();
  const epoch = Number(process.env.SOURCE_DATE_EPOCH ?? git("log", "-1", "--format=%ct"));
  const stamp = new Date(epoch * 1000).toISOString().replace(/[-:T]/g, "").slice(0, 12);
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  return {
    version: `${version}~${stamp}.${git("rev-parse", "--short=8", "HEAD")}`,
    epoch,
    changed: git("status", "--porcelain") !== "",
  };
}

if (import.meta.main) console.log(buildVersion(join(import.meta.dirname, "..", "..")).version);
