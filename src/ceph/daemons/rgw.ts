import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { readFileIfPresent, writeFileAtomic } from "../../files/atomic-file.ts";
import type { Handle } from "../../ids/ids.ts";
import type { CephPaths } from "../config/ceph-paths.ts";
import type { UnitSpec } from "../runner/runner.ts";
import { type DaemonDeps, daemonEnvironment, unitName } from "./deps.ts";
import { orDiskFull } from "./disk-full.ts";
import { readKept } from "./kept-settings.ts";
import { entityOf, prepareKeyedDaemon, removeKeyedDaemon } from "./keyed-daemon.ts";
import { listens } from "./listens.ts";
import { type WaitOptions, waitUntil } from "./wait-until.ts";

/** What a gateway is told; kept beside its key, so that it starts at boot from local disk alone. */
const port = z.int().min(1).max(65_535);
const gatewaySettings = z.object({
  /** Null: only with TLS. */
  port: port.nullable(),
  tls: z.object({ port, certificate: z.string().regex(/^[0-9a-f]{64}$/) }).optional(),
});
export type GatewaySettings = z.infer<typeof gatewaySettings>;

/** Ports at which it listens. */
export function portsOf({ port, tls }: GatewaySettings): number[] {
  return [port ?? [], tls?.port ?? []].flat();
}

/** Seconds that it may take to end the requests under way. */
const stopSeconds = 30;

/** Write data directory, keyring and settings of this node's gateway. Idempotent. */
export async function prepareRgw(
  deps: DaemonDeps,
  gateway: {
    readonly handle: Handle;
    readonly key: string;
    readonly settings: GatewaySettings;
    readonly pair: { readonly certificate: string; readonly key: string } | undefined;
  },
): Promise<void> {
  const { handle, key, settings, pair } = gateway;
  await prepareKeyedDaemon(deps, "rgw", { handle, key });
  if (settings.tls !== undefined && pair !== undefined) {
    const files = certificateFiles(deps.paths, handle, settings.tls.certificate);
    await writeFileAtomic(files.key, pair.key);
    await writeFileAtomic(files.certificate, pair.certificate);
  }
  const text = `${JSON.stringify(settings)}\n`;
  const path = settingsPath(deps.paths, handle);
  if ((await readFileIfPresent(path)) !== text) await writeFileAtomic(path, text);
}

/** What the gateway of this node was told; null when it has none. */
export async function rgwSettings(
  deps: Pick<DaemonDeps, "paths">,
  handle: Handle,
): Promise<GatewaySettings | null> {
  return readKept(settingsPath(deps.paths, handle), gatewaySettings);
}

/** Start it, or adopt the running one; one that runs with other settings is restarted. Idempotent. */
export async function startRgw(deps: DaemonDeps, handle: Handle): Promise<void> {
  const settings = await rgwSettings(deps, handle);
  if (settings === null) return;
  const unit = unitName("rgw", handle);
  await orDiskFull(unit, () =>
    deps.runner.ensure(unit, rgwSpec(deps.paths, handle, settings), { restartIfChanged: true }),
  );
}

/** `radosgw` in the foreground (radosgw(8)). */
function rgwSpec(paths: CephPaths, handle: Handle, { port, tls }: GatewaySettings): UnitSpec {
  const keyring = join(paths.dataDir("rgw", handle), "keyring");
  const frontend = ["beast", ...(port === null ? [] : [`port=${port}`])];
  if (tls !== undefined) {
    // Named after its digest: another certificate is another command line, so it is restarted with it.
    const files = certificateFiles(paths, handle, tls.certificate);
    frontend.push(
      `ssl_port=${tls.port}`,
      `ssl_certificate=${files.certificate}`,
      `ssl_private_key=${files.key}`,
    );
  }
  return {
    argv: [
      "radosgw",
      ...["-f", "-n", entityOf("rgw", handle), "-c", paths.cephConf, "--keyring", keyring],
      `--rgw-frontends=${frontend.join(" ")}`,
    ],
    env: daemonEnvironment(),
    cwd: "/",
    stopSeconds,
  };
}

/** Wait until its port takes connections: it does so once it has made, or found, its pools. */
export async function waitRgwServing(deps: DaemonDeps, handle: Handle, wait: WaitOptions): Promise<void> {
  const settings = await rgwSettings(deps, handle);
  if (settings === null) return;
  for (const at of portsOf(settings)) {
    await waitUntil(
      `the gateway of ${handle} to listen on port ${at}`,
      async () => ((await listens({ host: "127.0.0.1", port: at })) ? true : undefined),
      { intervalMs: 200, ...wait },
    );
  }
}

/** Certificates that it was started with before, and their keys, go. */
export async function forgetOtherCertificates(
  deps: Pick<DaemonDeps, "paths">,
  handle: Handle,
  { tls }: GatewaySettings,
): Promise<void> {
  const folder = deps.paths.dataDir("rgw", handle);
  const kept = tls === undefined ? [] : Object.values(certificateFiles(deps.paths, handle, tls.certificate));
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (/\.(?:crt|key)$/.test(name) && !kept.includes(path)) await rm(path, { force: true });
  }
}

function certificateFiles(
  paths: CephPaths,
  handle: Handle,
  digest: string,
): { certificate: string; key: string } {
  const base = join(paths.dataDir("rgw", handle), digest.slice(0, 16));
  return { certificate: `${base}.crt`, key: `${base}.key` };
}

/** Whether the program of this node's gateway runs. */
export async function runsRgw(deps: DaemonDeps, handle: Handle): Promise<boolean> {
  return (await deps.runner.status(unitName("rgw", handle)))?.pid != null;
}

/** Stop it and remove its data directory. Idempotent; its key in the monitors stays. */
export async function removeRgw(deps: DaemonDeps, handle: Handle): Promise<void> {
  // Without settings it does not start at boot, whatever of it is left after a crash.
  await rm(settingsPath(deps.paths, handle), { force: true });
  await removeKeyedDaemon(deps, "rgw", handle);
}

function settingsPath(paths: CephPaths, handle: Handle): string {
  return join(paths.dataDir("rgw", handle), "settings.json");
}
