import { hostname } from "node:os";
import { parseArgs } from "node:util";
import { MicrocephError } from "../errors/microceph-error.ts";
import { parsePeer, type StaticPeer } from "./static-peers.ts";

export type RunnerKind = "process" | "systemd";
export type AdmissionMode = "auto" | "approve" | "closed";

/** What microcephd is told on its command line; each has an environment variable of the same meaning. */
export interface DaemonSettings {
  readonly stateDir: string;
  /** Host name shown to people and made into the handle at admission. */
  readonly name: string;
  /** Admission mode that a cluster founded by this node starts with; undefined: auto for 24 h. */
  readonly admission: AdmissionMode | undefined;
  /** Fresh nodes that must see each other before a cluster forms by itself. */
  readonly expect: number;
  /** Whether this node's window for claims stays shut. */
  readonly windowShut: boolean;
  /** A ceph.conf fragment merged over the rendered configuration. */
  readonly extraCephConfig: string | undefined;
  /** Seconds after which a silent leader loses its lease. */
  readonly leaseTtlSeconds: number;
  readonly lobbyPort: number;
  readonly meshPort: number;
  /** Interfaces for discovery and for the addresses this node tells of; undefined: all but loopback. */
  readonly interfaces: readonly string[] | undefined;
  /** Name of a cluster founded by this node. */
  readonly clusterName: string;
  readonly logLevel: string;
  /** How what runs Ceph's daemons is started: as processes, or as services of systemd. */
  readonly runner: RunnerKind;
  /** The snap that this daemon is the service of; undefined outside of one. */
  readonly snap: string | undefined;
  /** Lobbies to greet by unicast, where no multicast goes. */
  readonly peers: readonly StaticPeer[];
}

export const defaultStateDir = "/var/lib/microceph";

/** Longest path that leaves room for the sockets below it: sun_path holds 108 bytes (unix(7)). */
const longestStateDir = 60;

const logLevels: readonly string[] = ["fatal", "error", "warn", "info", "debug", "trace", "silent"];

const flags = {
  "state-dir": { type: "string" },
  name: { type: "string" },
  admission: { type: "string" },
  expect: { type: "string" },
  "window-shut": { type: "boolean" },
  "extra-ceph-config": { type: "string" },
  "lease-ttl": { type: "string" },
  "lobby-port": { type: "string" },
  "mesh-port": { type: "string" },
  interface: { type: "string", multiple: true },
  "cluster-name": { type: "string" },
  "log-level": { type: "string" },
  runner: { type: "string" },
  peer: { type: "string", multiple: true },
  version: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

export const daemonUsage = `Usage: microcephd [OPTION…]

The daemon of MicroCeph Mesh: finds its peers, joins or founds a cluster and runs Ceph on this node.

  --state-dir DIR          state, keys and data of this node (${defaultStateDir}; MICROCEPH_STATE_DIR)
  --expect N               fresh nodes that form a cluster by themselves (3; MICROCEPH_EXPECT)
  --admission MODE         auto, approve or closed: how a cluster founded here starts
                           (auto for 24 h; MICROCEPH_ADMISSION)
  --window-shut            take no claim until "microceph mesh join" opens the window
                           (open for 24 h; MICROCEPH_WINDOW=shut)
  --interface NAME         interface for discovery and for this node's addresses
                           (repeatable; all but loopback)
  --peer ADDRESS[:PORT]    node to greet where no multicast goes (repeatable; "microceph mesh add" does the same)
  --name NAME              name of this node, without a domain (the host name)
  --cluster-name NAME      name of a cluster founded here (microceph)
  --lobby-port PORT        port where anyone may knock (7443)
  --mesh-port PORT         port for members only (7444)
  --lease-ttl SECONDS      time after which a silent leader may be replaced (10)
  --extra-ceph-config FILE ceph.conf fragment merged over the rendered one
  --runner KIND            process, or systemd: Ceph's daemons are services of systemd, one each
                           (process; MICROCEPH_RUNNER)
  --log-level LEVEL        error, warn, info or debug (info; MICROCEPH_LOG_LEVEL)
  --version, --help
`;

function wholeNumber(
  text: string | undefined,
  flag: string,
  fallback: number,
  low: number,
  high: number,
): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new MicrocephError("USAGE", `${flag} takes a whole number from ${low} to ${high}, not "${text}"`);
  }
  return value;
}

function logLevel(text: string): string {
  if (logLevels.includes(text)) return text;
  throw new MicrocephError("USAGE", `--log-level takes ${logLevels.join(", ")}, not "${text}"`);
}

/** A name that others see: as long as the messages of the lobby carry, and nothing that steers a terminal. */
function shownName(text: string, flag: string): string {
  if (/^[\x20-\x7e\u00a1-\ud7ff]{1,63}$/u.test(text) && text.trim() !== "") return text;
  throw new MicrocephError("USAGE", `${flag} takes a name of 1 to 63 printable characters`);
}

/** The host's own name is taken as it is, as far as it can be shown: it is no reason not to start. */
function hostName(): string {
  const label = hostname().split(".")[0] ?? "";
  return label.replace(/[^\x21-\x7e]/g, "-").slice(0, 63) || "node";
}

function runnerKind(text: string): RunnerKind {
  if (text === "process" || text === "systemd") return text;
  throw new MicrocephError("USAGE", `--runner takes process or systemd, not "${text}"`);
}

function admissionMode(text: string | undefined): AdmissionMode | undefined {
  if (text === undefined || text === "auto" || text === "approve" || text === "closed") return text;
  throw new MicrocephError("USAGE", `--admission takes auto, approve or closed, not "${text}"`);
}

/** Parse the command line; `"version"` or `"help"` when only that was asked for. */
export function parseSettings(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): DaemonSettings | "version" | "help" {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    throw new MicrocephError("USAGE", error instanceof Error ? error.message : String(error), {
      cause: error,
    });
  }
  if (values.help) return "help";
  if (values.version) return "version";
  const stateDir = values["state-dir"] ?? environment.MICROCEPH_STATE_DIR ?? defaultStateDir;
  if (!stateDir.startsWith("/") || Buffer.byteLength(stateDir) > longestStateDir) {
    throw new MicrocephError(
      "USAGE",
      `--state-dir takes an absolute path of at most ${longestStateDir} bytes, because sockets live below it`,
    );
  }
  const lobbyPort = wholeNumber(values["lobby-port"], "--lobby-port", 7443, 1, 65_535);
  const meshPort = wholeNumber(values["mesh-port"], "--mesh-port", 7444, 1, 65_535);
  if (lobbyPort === meshPort) {
    throw new MicrocephError("USAGE", `--lobby-port and --mesh-port are both ${meshPort}`);
  }
  return {
    stateDir,
    name: values.name === undefined ? hostName() : shownName(values.name.split(".")[0] ?? "", "--name"),
    admission: admissionMode(values.admission ?? environment.MICROCEPH_ADMISSION),
    expect: wholeNumber(values.expect ?? environment.MICROCEPH_EXPECT, "--expect", 3, 2, 1000),
    windowShut: values["window-shut"] ?? environment.MICROCEPH_WINDOW === "shut",
    extraCephConfig: values["extra-ceph-config"],
    leaseTtlSeconds: wholeNumber(values["lease-ttl"], "--lease-ttl", 10, 2, 60),
    lobbyPort,
    meshPort,
    interfaces: values.interface,
    clusterName: shownName(values["cluster-name"] ?? "microceph", "--cluster-name"),
    peers: (values.peer ?? []).map((text) => parsePeer(text, lobbyPort)),
    runner: runnerKind(values.runner ?? environment.MICROCEPH_RUNNER ?? "process"),
    // A daemon that is started from the shell of another snap has that one's variables.
    snap: environment.MICROCEPH_PROGRAMS === "inherit" ? environment.SNAP_INSTANCE_NAME : undefined,
    logLevel: logLevel(values["log-level"] ?? environment.MICROCEPH_LOG_LEVEL ?? "info"),
  };
}

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options: flags, strict: true, allowPositionals: false }).values;
}
