import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { readFileIfPresent, writeFileAtomic } from "../../files/atomic-file.ts";
import type { Handle } from "../../ids/ids.ts";
import type { CephPaths } from "../config/ceph-paths.ts";
import { type DaemonDeps, daemonEnvironment, unitName } from "./deps.ts";
import { orDiskFull } from "./disk-full.ts";
import { haproxyDescription } from "./haproxy-socket.ts";
import {
  checkScript,
  descriptionOf,
  type Front,
  haproxyConfig,
  type IngressPaths,
  type IngressSettings,
  keepalivedConfig,
} from "./ingress-config.ts";
import { readKept } from "./kept-settings.ts";
import { listens } from "./listens.ts";
import { type WaitOptions, waitUntil } from "./wait-until.ts";

const keptSchema = z.object({
  vip: z.union([z.ipv4(), z.ipv6()]),
  prefix: z.int().min(1).max(128),
  port: z.int().min(1).max(65_535),
  tlsPort: z.int().min(1).max(65_535).optional(),
  nfsPort: z.int().min(1).max(65_535).optional(),
  interface: z.string().min(1).max(32),
});
export type KeptIngress = z.infer<typeof keptSchema>;

const programMs = 20_000;
/** Milliseconds that haproxy gets to take over another configuration, and after which it is told once more. */
const takingOverMs = 30_000;
const askAgainMs = 2_000;

/** Throws MISSING_PROGRAM. */
export async function checkIngressPrograms(deps: Pick<DaemonDeps, "run">): Promise<void> {
  for (const [program, option] of [
    ["haproxy", "-v"],
    ["keepalived", "--version"],
  ] as const) {
    await deps.run(program, [option], { deadlineMs: programMs });
  }
}

/** What the ingress of this node was told; null when it has none. Throws STATE_CORRUPT. */
export async function ingressSettings(
  deps: Pick<DaemonDeps, "paths">,
  handle: Handle,
): Promise<KeptIngress | null> {
  return readKept(files(deps.paths, handle).settings, keptSchema);
}

/** Write settings and configuration of this node's ingress. Idempotent. */
export async function prepareIngress(
  deps: DaemonDeps,
  handle: Handle,
  settings: IngressSettings & { readonly interface: string },
): Promise<void> {
  const { folder, keepalived, check, settings: path } = files(deps.paths, handle);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const paths = ingressPaths(deps.paths, handle);
  await writeFileAtomic(check, checkScript(paths), 0o700);
  await writeFileAtomic(keepalived, keepalivedConfig(settings, handle, settings.interface, paths));
  const { vip, prefix, port, tlsPort, nfsPort } = settings;
  const kept = { vip, prefix, port, tlsPort, nfsPort, interface: settings.interface };
  await writeFileAtomic(path, `${JSON.stringify(kept)}\n`);
}

/** Path of the certificate of this digest, with its key, if it is here. */
export async function ingressCertificate(
  deps: Pick<DaemonDeps, "paths">,
  handle: Handle,
  digest: string,
): Promise<string | null> {
  const path = certificatePath(deps.paths, handle, digest);
  return (await readFileIfPresent(path)) === undefined ? null : path;
}

/** Keep a certificate and its key for haproxy, if that takes it. Idempotent. Throws PROGRAM_FAILED when it does not. */
export async function keepIngressCertificate(
  deps: DaemonDeps,
  handle: Handle,
  digest: string,
  pair: { readonly certificate: string; readonly key: string },
): Promise<string> {
  const { folder } = files(deps.paths, handle);
  const path = certificatePath(deps.paths, handle, digest);
  const tried = join(folder, "tried.pem");
  const trial = join(folder, "tried.cfg");
  try {
    await writeFileAtomic(tried, `${pair.certificate}${pair.key}`);
    await writeFileAtomic(trial, `frontend tried\n  bind unix@${folder}/tried ssl crt ${tried}\n`);
    await deps.run("haproxy", ["-c", "-q", "-f", trial], { deadlineMs: programMs });
  } finally {
    for (const file of [tried, trial]) await rm(file, { force: true });
  }
  await writeFileAtomic(path, `${pair.certificate}${pair.key}`);
  return path;
}

/** Certificates that haproxy shows no more, and their keys, go. */
export async function forgetOtherIngressCertificates(
  deps: Pick<DaemonDeps, "paths">,
  handle: Handle,
  digest: string | null,
): Promise<void> {
  const { folder } = files(deps.paths, handle);
  const kept = digest === null ? undefined : certificatePath(deps.paths, handle, digest);
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (name.endsWith(".pem") && path !== kept) await rm(path, { force: true });
  }
}

/**
 * haproxy before these gateways, with the certificate at that path, and keepalived: started, or adopted; other settings
 * restart them, other gateways and another certificate are taken over without a connection lost. Idempotent. Throws
 * DEADLINE_EXCEEDED.
 */
export async function startIngress(
  deps: DaemonDeps,
  handle: Handle,
  { certificate, ...behind }: Front,
): Promise<void> {
  const settings = await ingressSettings(deps, handle);
  if (settings === null) return;
  const { haproxy, keepalived } = files(deps.paths, handle);
  const paths = ingressPaths(deps.paths, handle);
  const text = haproxyConfig(settings, behind, { ...paths, certificate }, await isNobodyMapped());
  const before = await readFileIfPresent(haproxy);
  if (before !== text) await writeFileAtomic(haproxy, text);
  const unit = unitName("ingress", handle);
  const { status, action } = await orDiskFull(unit, () =>
    deps.runner.ensure(unit, {
      // -W: a master that reloads, -db: in the foreground.
      argv: ["haproxy", "-W", "-db", "-f", haproxy, "-p", paths.pid],
      env: daemonEnvironment(),
      cwd: "/",
      stopSeconds: 30,
    }),
  );
  if (action === "unchanged" && status.pid !== null) await untilRuns(paths.socket, status.pid, text);
  const vipUnit = addressUnit(handle);
  // What it is told is part of what it runs with: other settings restart it.
  const told = `${settings.vip}/${settings.prefix} ${settings.interface}`;
  await deps.runner.ensure(
    vipUnit,
    {
      argv: ["keepalived", "-n", "-l", "-f", keepalived, "-p", `${paths.pid}.vip`, "-r", `${paths.pid}.vrrp`],
      env: { ...daemonEnvironment(), MICROCEPH_VIP: told },
      cwd: "/",
      stopSeconds: 10,
    },
    { restartIfChanged: true },
  );
}

/**
 * Have the running haproxy take over what its file says. Its master forgets a signal that comes while it takes over
 * something already: it is asked what it runs with. Throws DEADLINE_EXCEEDED, as when it does not like what it reads.
 */
async function untilRuns(socket: string, master: number, text: string): Promise<void> {
  const wanted = descriptionOf(text);
  let asked = Number.NEGATIVE_INFINITY;
  await waitUntil(
    "haproxy to take over other gateways",
    async () => {
      if ((await haproxyDescription(socket)) === wanted) return true;
      if (performance.now() - asked < askAgainMs) return undefined;
      asked = performance.now();
      process.kill(master, "SIGUSR2");
      return undefined;
    },
    { deadlineMs: takingOverMs, intervalMs: 100 },
  );
}

/** Wait until haproxy listens: it answers on its own socket then, too. Throws DEADLINE_EXCEEDED. */
export async function waitIngressServing(deps: Pick<DaemonDeps, "paths">, wait: WaitOptions): Promise<void> {
  const path = socketOf(deps.paths);
  await waitUntil("haproxy to listen", async () => ((await listens({ path })) ? true : undefined), {
    intervalMs: 100,
    ...wait,
  });
}

/** Stop both and remove what they were told. Idempotent. */
export async function removeIngress(deps: DaemonDeps, handle: Handle): Promise<void> {
  const told = await ingressSettings(deps, handle);
  // The address goes first: nobody is sent to a balancer that is gone.
  await deps.runner.stop(addressUnit(handle), { removeAlso: true });
  if (told !== null) {
    // One that had to be killed leaves the address behind; 2: it is not there.
    const del = ["addr", "del", `${told.vip}/${told.prefix}`, "dev", told.interface];
    await deps.run("ip", del, { deadlineMs: programMs, okCodes: [0, 1, 2] });
  }
  await deps.runner.stop(unitName("ingress", handle), { removeAlso: true });
  await rm(files(deps.paths, handle).folder, { recursive: true, force: true });
}

/** Unit of keepalived, beside that of haproxy. */
function addressUnit(handle: Handle): string {
  return `ingress-vip.${handle}`;
}

function files(paths: CephPaths, handle: Handle) {
  const folder = paths.dataDir("ingress", handle);
  return {
    folder,
    settings: join(folder, "settings.json"),
    haproxy: join(folder, "haproxy.cfg"),
    keepalived: join(folder, "keepalived.conf"),
    check: join(folder, "check-haproxy"),
  };
}

function certificatePath(paths: CephPaths, handle: Handle, digest: string): string {
  return join(files(paths, handle).folder, `${digest.slice(0, 16)}.pem`);
}

function socketOf(paths: CephPaths): string {
  return join(paths.run, "haproxy.sock");
}

function ingressPaths(paths: CephPaths, handle: Handle): IngressPaths {
  return {
    socket: socketOf(paths),
    pid: join(paths.run, "haproxy.pid"),
    check: files(paths, handle).check,
  };
}

/** Whether user 65534 exists here: in a user namespace it may not. */
async function isNobodyMapped(): Promise<boolean> {
  const text = await readFile("/proc/self/uid_map", "utf8").catch(() => "");
  return text.split("\n").some((line) => {
    const [from = Number.NaN, , count = 0] = line.trim().split(/\s+/).map(Number);
    return from <= 65_534 && 65_534 < from + count;
  });
}
