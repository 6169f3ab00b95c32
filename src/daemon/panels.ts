import { randomBytes } from "node:crypto";
import { z } from "zod";
import type { enableDashboardRequest, enablePrometheusRequest, PanelReport } from "../api/contract/panels.ts";
import type { Shape } from "../api/contract/shape.ts";
import type { CallOptions, CephCommands } from "../ceph/command/commands.ts";
import { whileLoading } from "../ceph/command/while-refused.ts";
import { isRefusal } from "../ceph/command/words.ts";
import { parseCertificate } from "../ceph/control/certificates.ts";
import { managers } from "../ceph/control/fail-over.ts";
import { wishFor } from "../ceph/control/placed-wish.ts";
import { listens } from "../ceph/daemons/listens.ts";
import { waitUntil } from "../ceph/daemons/wait-until.ts";
import { panelPorts } from "../ceph/plan/panels.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import { hostPort } from "../ids/host-port.ts";
import { namedMembers } from "./cluster/cluster-report.ts";
import type { ClusterRuntime } from "./cluster/cluster-runtime.ts";
import type { Daemon } from "./daemon.ts";
import { givenPair, placedReport } from "./placed-services.ts";
import { commandsOf, runtimeOf } from "./runtime-of.ts";

type Panel = "dashboard" | "prometheus";

const callMs = 30_000;
/** Milliseconds that managers have to load a module and to listen. */
const servingMs = 90_000;
const user = "admin";
const modulesSchema = z.object({
  enabled_modules: z.array(z.string()).default([]),
});

/** Where it is, and whether it is enabled: by Ceph's own word. */
export async function panelReport(
  cluster: ClusterRuntime,
  panel: Panel,
  signal: AbortSignal,
): Promise<PanelReport> {
  const ceph = commandsOf(cluster);
  const call = { deadlineMs: callMs, signal };
  const enabled = await isEnabled(ceph, panel, call);
  const port = panelPorts(cluster.document.view().services)[panel] ?? null;
  const address = await activeAddress(cluster, call);
  const scheme = panel === "dashboard" ? "https" : "http";
  const path = panel === "dashboard" ? "/" : "/metrics";
  const ingress = wishFor("ingress", cluster.document.view().services);
  const vip = ingress?.fronts?.includes("dashboard") === false ? null : (ingress?.vip ?? null);
  const hasIngress = placedReport(cluster, "ingress").nodes.some(({ state }) => state === "placed");
  const urls =
    !enabled || port === null
      ? []
      : [
          ...(vip !== null && hasIngress ? [`${scheme}://${hostPort(vip, port + 1)}${path}`] : []),
          ...(address === null ? [] : [`${scheme}://${hostPort(address, port)}${path}`]),
        ];
  return { enabled, port: enabled ? port : null, urls, user: null, password: null };
}

async function isEnabled(ceph: CephCommands, panel: Panel, call: CallOptions): Promise<boolean> {
  return modulesSchema.parse(await ceph.run(["mgr", "module", "ls"], call)).enabled_modules.includes(panel);
}

/**
 * Ceph's dashboard, with TLS and a user. Run again it completes. Throws MISSING_PROGRAM where managers do not have it,
 * USAGE, DEADLINE_EXCEEDED.
 */
export async function enableDashboard(
  daemon: Daemon,
  asked: Shape<typeof enableDashboardRequest>,
  signal: AbortSignal,
): Promise<PanelReport> {
  const cluster = runtimeOf(daemon);
  const ceph = commandsOf(cluster);
  const call = { deadlineMs: callMs, signal };
  const given = givenPair(asked);
  const pair = given === null ? null : parseCertificate(given, daemon.now());
  const port = await enable(cluster, "dashboard", "ssl_server_port", asked.ssl_port, call);
  const hasOne = (await ceph.secret("mgr/dashboard/crt", call)) !== undefined;
  if (pair !== null) {
    await whileLoading(
      () => ceph.runWithInput(["dashboard", "set-ssl-certificate"], pair.certificate, call),
      signal,
    );
    await ceph.runWithInput(["dashboard", "set-ssl-certificate-key"], pair.key, call);
  } else if (!hasOne) {
    await whileLoading(() => ceph.run(["dashboard", "create-self-signed-cert"], call), signal);
  }
  if (pair !== null && hasOne) await reload(ceph, "dashboard", call);
  const password = await whileLoading(() => ensureUser(ceph, asked.new_password, call), signal);
  await serving(cluster, port, signal);
  const report = await panelReport(cluster, "dashboard", signal);
  return { ...report, user, password };
}

/** The figures of the manager that is active, for Prometheus. Throws as `enableDashboard`. */
export async function enablePrometheus(
  daemon: Daemon,
  asked: Shape<typeof enablePrometheusRequest>,
  signal: AbortSignal,
): Promise<PanelReport> {
  const cluster = runtimeOf(daemon);
  const call = { deadlineMs: callMs, signal };
  const port = await enable(cluster, "prometheus", "server_port", asked.port, call);
  await serving(cluster, port, signal);
  return panelReport(cluster, "prometheus", signal);
}

/** Idempotent; users, certificate and settings of the dashboard stay. */
export async function disablePanel(daemon: Daemon, panel: Panel, signal: AbortSignal): Promise<PanelReport> {
  const cluster = runtimeOf(daemon);
  await commandsOf(cluster).run(["mgr", "module", "disable", panel], { deadlineMs: callMs, signal });
  cluster.document.setService(panel, null);
  return panelReport(cluster, panel, signal);
}

async function enable(
  cluster: ClusterRuntime,
  panel: Panel,
  option: string,
  asked: number | undefined,
  call: CallOptions,
): Promise<number> {
  const ceph = commandsOf(cluster);
  const { services } = cluster.document.view();
  const before = panelPorts(services)[panel];
  const port = asked ?? before ?? (panel === "dashboard" ? 8443 : 9283);
  const gateways = wishFor("rgw", services);
  const ingress = wishFor("ingress", services);
  const others = [
    ...[gateways?.port, gateways?.tls?.port, ingress?.port, ingress?.tlsPort, ingress?.nfsPort],
    ...Object.entries(panelPorts(services)).flatMap(([name, one]) => (name === panel ? [] : [one, one + 1])),
  ];
  const taken = [port, port + 1].find((one) => others.includes(one));
  if (taken !== undefined) {
    throw new MicrocephError(
      "USAGE",
      `port ${taken} is that of another service: give the ${panel} another port`,
    );
  }
  const was = await isEnabled(ceph, panel, call);
  await ceph.configSet("mgr", `mgr/${panel}/${option}`, String(port), call);
  if (!was) {
    await ceph.run(["mgr", "module", "enable", panel], call).catch((error: unknown) => {
      if (!isRefusal(error, "ENOENT")) throw error;
      throw new MicrocephError(
        "MISSING_PROGRAM",
        `not every manager has the module ${panel}: install ${panel === "dashboard" ? "ceph-mgr-dashboard" : "ceph-mgr-modules-core"} on the members that run one`,
      );
    });
  } else if (before !== port) await reload(ceph, panel, call);
  // Told last: an ingress passes it on from now on.
  cluster.document.setService(panel, { port });
  cluster.wake(panel);
  return port;
}

/** A module reads certificate and port only when it is loaded. */
async function reload(ceph: CephCommands, panel: Panel, call: CallOptions): Promise<void> {
  await ceph.run(["mgr", "module", "disable", panel], call);
  await ceph.run(["mgr", "module", "enable", panel], call);
}

/** The password of the user, when one was made. */
async function ensureUser(ceph: CephCommands, another: boolean, call: CallOptions): Promise<string | null> {
  const known = await ceph.run(["dashboard", "ac-user-show", user], call).then(
    () => true,
    (error: unknown) => {
      if (isRefusal(error, "ENOENT")) return false;
      throw error;
    },
  );
  if (known && !another) return null;
  // What the dashboard asks of a password besides its length: letters of both kinds, digits, a sign.
  const password = `${randomBytes(18).toString("base64url")}-aA1`;
  const words = known
    ? ["dashboard", "ac-user-set-password", user]
    : ["dashboard", "ac-user-create", user, "administrator"];
  await ceph.runWithInput(words, password, call);
  return password;
}

/** Where the active manager is; null while there is none. */
async function activeAddress(cluster: ClusterRuntime, call: CallOptions): Promise<string | null> {
  const { active } = await managers(commandsOf(cluster), call);
  const host = namedMembers(cluster).find(({ handle }) => handle === active);
  return host === undefined ? null : cluster.publicAddress(host.id);
}

/** Wait until the active manager listens there. */
async function serving(cluster: ClusterRuntime, port: number, signal: AbortSignal): Promise<void> {
  const look = async (): Promise<true | undefined> => {
    const host = await activeAddress(cluster, { deadlineMs: callMs, signal });
    return host !== null && (await listens({ host, port })) ? true : undefined;
  };
  const wait = { deadlineMs: servingMs, intervalMs: 500, signal };
  await waitUntil(`the active manager to listen on port ${port}`, look, wait);
}
