import { mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { readFileIfPresent, writeFileAtomic } from "../../files/atomic-file.ts";
import type { CephPaths } from "./ceph-paths.ts";
import { adminCapabilities, renderKeyring } from "./keyring.ts";

/** Write a file only when its content differs; returns whether it was written. Atomic. */
export async function writeIfChanged(path: string, content: string, mode: number): Promise<boolean> {
  if ((await readFileIfPresent(path)) === content) return false;
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await writeFileAtomic(path, content, mode);
  return true;
}

/** Write `ceph.conf` (0644) when it changed. */
export function writeCephConf(paths: CephPaths, text: string): Promise<boolean> {
  return writeIfChanged(paths.cephConf, text, 0o644);
}

/** Write the key of `client.admin` under both names that are looked for (0600). */
export async function writeAdminKeyring(paths: CephPaths, key: string): Promise<boolean> {
  const text = renderKeyring([{ entity: "client.admin", key, capabilities: adminCapabilities }]);
  const first = await writeIfChanged(paths.adminKeyring, text, 0o600);
  const second = await writeIfChanged(paths.cephKeyring, text, 0o600);
  return first || second;
}

/** Take the key of `client.admin` away. Idempotent. */
export async function removeAdminKeyring(paths: CephPaths): Promise<void> {
  for (const path of [paths.adminKeyring, paths.cephKeyring]) await rm(path, { force: true });
}
