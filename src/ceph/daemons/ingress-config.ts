import { createHash } from "node:crypto";
import { isIPv6 } from "node:net";
import { hostPort } from "../../ids/host-port.ts";
import type { Handle } from "../../ids/ids.ts";

import type { Panel } from "../plan/panels.ts";

/** A common address before the gateways. */
export interface IngressSettings {
  readonly vip: string;
  /** Bits of its network. */
  readonly prefix: number;
  readonly port: number;
  /** Where it speaks TLS for the gateways that speak it; 443 when it is left out. */
  readonly tlsPort?: number | undefined;
  /** Where NFS gateways are reached; undefined: not here. */
  readonly nfsPort?: number | undefined;
}

export interface Backend {
  readonly handle: Handle;
  readonly address: string;
  readonly port: number | null;
  readonly tlsPort: number | null;
  /** A manager, where it is one and no gateway: the ingress listens on the port after its own. */
  readonly panel?: Panel | undefined;
  /** Of an NFS gateway: what it is to clients. */
  readonly rank?: number | undefined;
}

const defaultTlsPort = 443;

/** What stands behind the common address, and the digest of the certificate with which it speaks TLS. */
export interface Front {
  readonly backends: readonly Backend[];
  readonly certificate: string | null;
  /** Whether it is the address of S3 gateways, also while there is none. */
  readonly s3: boolean;
  /** Of NFS gateways, whether there is one of each or not: clients are spread over these. */
  readonly ranks: readonly number[];
}

export interface IngressPaths {
  readonly socket: string;
  readonly pid: string;
  readonly check: string;
}

/**
 * haproxy's configuration. A request whose connection a gateway refuses goes to another; which gateways answer is
 * looked at once a second. `nobody`: whether its workers give root up. `certificate`: path of one with its key; null
 * while it is not here, and TLS is passed on as it is.
 */
export function haproxyConfig(
  { vip, port, tlsPort = defaultTlsPort, nfsPort }: IngressSettings,
  { backends, s3, ranks }: Omit<Front, "certificate">,
  { socket, certificate }: Pick<IngressPaths, "socket"> & { readonly certificate: string | null },
  nobody: boolean,
): string {
  const servers = (of: "port" | "tlsPort", panel?: Panel): string[] =>
    backends
      .filter((one) => one.panel === panel && one.rank === undefined)
      .sort((a, b) => (a.handle < b.handle ? -1 : 1))
      .flatMap((one) => {
        const at = one[of];
        return at === null ? [] : [`  server ${one.handle} ${hostPort(one.address, at)} check`];
      });
  const plain = servers("port");
  const encrypted = servers("tlsPort");
  const watched = ["  balance leastconn", "  option httpchk HEAD /"];
  // One that restarts refuses connections, which go to another at once: it need not be called down for that, and two
  // that restart one after the other are never both down.
  const pace = "inter 1s fall 3 rise 1 downinter 200ms";
  const retry = "  retry-on conn-failure empty-response";
  const [figures] = backends.filter(({ panel }) => panel === "prometheus");
  const [dashboard] = backends.filter(({ panel }) => panel === "dashboard");
  const lines = [
    "# Written by microcephd from the gateways that are placed; changes here are overwritten.",
    "global",
    ...(nobody ? ["  user nobody", "  group nogroup"] : []),
    // A reload hands the listening sockets over, so that no connection is refused meanwhile.
    `  stats socket ${socket} mode 600 level admin expose-fd listeners`,
    "  log stdout format raw local0 notice",
    "defaults",
    "  mode http",
    "  log global",
    // A host that lost its power refuses nothing: how long a request waits before it goes to another gateway.
    "  timeout connect 1s",
    "  timeout check 3s",
    "  timeout client 10m",
    "  timeout server 10m",
    "  option redispatch 1",
    "  retries 5",
    ...(s3
      ? [
          "frontend s3",
          // The address is another node's most of the time: this one is ready for it.
          `  bind ${hostPort(vip, port)} transparent`,
          "  default_backend gateways",
          "backend gateways",
          ...watched,
          retry,
          `  default-server ${pace}`,
          ...plain,
        ]
      : []),
    ...(encrypted.length === 0
      ? []
      : [
          "frontend s3-tls",
          ...(certificate === null ? ["  mode tcp"] : []),
          `  bind ${hostPort(vip, tlsPort)} transparent${certificate === null ? "" : ` ssl crt ${certificate}`}`,
          "  default_backend gateways-tls",
          "backend gateways-tls",
          ...(certificate === null ? ["  mode tcp"] : [retry]),
          ...watched,
          // Its certificate is for the names that clients use; what goes to a gateway cannot be read on the way.
          `  default-server ${pace} ${certificate === null ? "check-ssl" : "ssl"} verify none`,
          ...encrypted,
        ]),
    // Of the managers only the one that is active has something to show.
    ...(figures?.port == null
      ? []
      : [
          "frontend prometheus",
          `  bind ${hostPort(vip, figures.port + 1)} transparent`,
          "  default_backend prometheus",
          "backend prometheus",
          "  option httpchk GET /metrics",
          "  http-check expect string ceph_health_status",
          "  default-server inter 2s fall 2 rise 1",
          ...servers("port", "prometheus"),
        ]),
    ...(dashboard?.tlsPort == null
      ? []
      : [
          "frontend dashboard",
          "  mode tcp",
          `  bind ${hostPort(vip, dashboard.tlsPort + 1)} transparent`,
          "  default_backend dashboard",
          "backend dashboard",
          "  mode tcp",
          "  option httpchk GET /",
          "  http-check expect status 200",
          "  default-server inter 2s fall 2 rise 1 check-ssl verify none",
          ...servers("tlsPort", "dashboard"),
        ]),
    ...(nfsPort === undefined || ranks.length === 0 ? [] : nfsFront({ vip, port: nfsPort }, ranks, backends)),
  ];
  // By it the one that runs says with which of these it does.
  lines.splice(2, 0, `  description ${createHash("sha256").update(lines.join("\n")).digest("hex")}`);
  return `${lines.join("\n")}\n`;
}

/** The `description` in a configuration that `haproxyConfig` made. */
export function descriptionOf(config: string): string | null {
  return /^ {2}description (\S+)$/m.exec(config)?.[1] ?? null;
}

/**
 * NFS: each client has its own gateway, which knows what it has open and locked, and waits for that one rather than be
 * sent to another. A connection to one whose host is silent is cut, so that the client comes again (RFC 8881, 2.10.13).
 * A gateway knows a client again by the address, too, from which it sees it come (`check_clid`): that must be the same
 * whichever node the common address is at. Who does not have the address cannot look whether gateways answer.
 */
function nfsFront(
  at: { readonly vip: string; readonly port: number },
  ranks: readonly number[],
  backends: readonly Backend[],
): string[] {
  const source = `source ${hostPort(at.vip, 0)}`;
  return [
    "frontend nfs",
    "  mode tcp",
    `  bind ${hostPort(at.vip, at.port)} transparent`,
    `  use_backend nfs-%[src,crc32(1),mod(${ranks.length})]`,
    ...ranks.flatMap((rank, index) => [
      `backend nfs-${index}`,
      "  mode tcp",
      ...backends
        .filter((one) => one.rank === rank && one.port !== null)
        .map(
          ({ handle, address, port }) =>
            `  server ${handle} ${hostPort(address, port ?? 0)} ${source} tcp-ut 5s`,
        ),
    ]),
  ];
}

/** keepalived's configuration: the address goes to one of those whose haproxy runs (VRRP, RFC 5798). */
export function keepalivedConfig(
  { vip, prefix }: IngressSettings,
  handle: Handle,
  networkInterface: string,
  { check }: Pick<IngressPaths, "check">,
): string {
  return `${[
    "# Written by microcephd; changes here are overwritten.",
    "global_defs {",
    `  router_id ${handle}`,
    // Its third version knows parts of a second: the address moves after three adverts that did not come.
    "  vrrp_version 3",
    "  script_user root",
    "  enable_script_security",
    "}",
    "vrrp_script haproxy {",
    `  script "${check}"`,
    "  interval 1",
    "  fall 2",
    "  rise 1",
    "}",
    "vrrp_instance s3 {",
    // Whoever has it keeps it: it moves when its node fails, not when another one comes back.
    "  state BACKUP",
    "  nopreempt",
    `  interface ${networkInterface}`,
    `  virtual_router_id ${routerId(vip)}`,
    `  priority ${priority(handle)}`,
    "  advert_int 0.5",
    ...(isIPv6(vip) ? ["  native_ipv6"] : []),
    "  virtual_ipaddress {",
    `    ${vip}/${prefix}`,
    "  }",
    "  track_script {",
    "    haproxy",
    "  }",
    "}",
  ].join("\n")}\n`;
}

/** Exit 0 while haproxy's master runs. */
export function checkScript({ pid }: Pick<IngressPaths, "pid">): string {
  return `#!/bin/sh\nexec kill -0 "$(cat '${pid}')"\n`;
}

const byteOf = (text: string): number => createHash("sha256").update(text).digest()[0] ?? 0;

/** 1 to 255, the same on all nodes of one address, and seldom that of another router of the network. */
function routerId(vip: string): number {
  return (byteOf(vip) % 255) + 1;
}

/** 50 to 200; of equal ones VRRP prefers the higher address. */
function priority(handle: Handle): number {
  return 50 + (byteOf(handle) % 151);
}
