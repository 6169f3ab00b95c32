import { readFile } from "node:fs/promises";
import { Argument, type Command } from "commander";
import type { PanelReport } from "../api/contract/panels.ts";
import type { PlacedReport } from "../api/contract/placed-services.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import { collect, truth } from "./option-values.ts";
import { borderedTable } from "./render/table.ts";
import { Session } from "./session.ts";

interface EnableOptions {
  readonly target: readonly string[];
  readonly count?: number;
  readonly zone?: string;
  readonly port?: number;
  readonly sslPort?: number;
  readonly wait: boolean;
}

interface CertificateOptions {
  readonly sslCertificate?: string;
  readonly sslPrivateKey?: string;
}

interface DashboardOptions extends CertificateOptions {
  readonly sslPort?: number;
  readonly newPassword?: true;
}

interface NfsOptions {
  readonly clusterId: string;
  readonly bindAddress?: string;
  readonly bindPort?: number;
  readonly v4MinVersion?: number;
}

interface IngressOptions {
  readonly vip: string;
  readonly service?: readonly Fronted[];
  readonly nfsPort?: number;
}

interface DisableOptions {
  /** Of NFS only. */
  readonly clusterId?: string;
  readonly target: readonly string[];
  readonly all?: true;
  readonly wait: boolean;
}

const fronted = ["rgw", "nfs", "dashboard"] as const;
type Fronted = (typeof fronted)[number];

const noneOf = {
  rgw: "No S3 gateway is wanted.",
  ingress: "No ingress is wanted.",
  nfs: "No NFS gateway is wanted.",
  mon: "No monitor runs.",
  mgr: "No manager runs.",
  mds: "No metadata server runs.",
  "rbd-mirror": "No rbd-mirror is wanted.",
  "cephfs-mirror": "No cephfs-mirror is wanted.",
} as const;

const certificateOption = [
  "--ssl-certificate <pem>",
  "certificate, with its chain: a file (/… or ./…), or base64 of it",
] as const;
const keyOption = ["--ssl-private-key <pem>", "its private key: a file, or base64 of it"] as const;

/** `microceph enable …`, `microceph disable …` and `microceph certificate set` */
export function addServiceCommands(program: Command, io: CliIo): void {
  const enable = program.command("enable").description("Say which services are wanted, and where");
  enable
    .command("rgw")
    .description("S3 and Swift gateways: on this node, on others by name, or so many wherever they fit")
    .option("--target <node>", "member that runs one; may be given again (this node)", collect, [])
    .option("--count <n>", "so many in all; another member takes over when one is away for long", wholeNumber)
    .option("--zone <zone>", "those that are not named only there; '*': anywhere (as before)")
    .option("--port <port>", "where they listen (80, or as before; with a certificate: only TLS)", portNumber)
    .option("--ssl-port <port>", "where they speak TLS (443, or as before)", portNumber)
    .option(...certificateOption)
    .option(...keyOption)
    .option("--wait [bool]", "wait until they serve", truth, true)
    .action(async (options: EnableOptions & CertificateOptions, command: Command) => {
      const session = new Session(io, command);
      const client = session.client.withoutTarget();
      const job = await client.enableGateway({ ...asked(options), ...(await pairOf(options)) });
      if (options.wait) await session.finish(job, client);
      await session.print(await client.gateways(), (report) => placedText(report, noneOf.rgw));
    });

  enable
    .command("ingress")
    .description("One address before gateways: haproxy and keepalived on at least two members")
    .requiredOption("--vip <address/prefix>", "the common address: 192.0.2.10/24")
    .option("--target <node>", "member that stands ready for it; may be given again", collect, [])
    .option("--count <n>", "so many stand ready in all (2)", wholeNumber)
    .option("--zone <zone>", "those that are not named only there; '*': anywhere (as before)")
    .option("--port <port>", "where it listens (80, or as before)", portNumber)
    .option("--ssl-port <port>", "where it speaks TLS for the gateways (443, or as before)", portNumber)
    .option("--nfs-port <port>", "where it is the address of NFS gateways (2049, or as before)", portNumber)
    .option(
      "--service <service>",
      "whose address it is: rgw, nfs, dashboard; may be given again (rgw and dashboard, or as before)",
      frontedServices,
    )
    .option("--wait [bool]", "wait until it is served", truth, true)
    .action(async (options: EnableOptions & IngressOptions, command: Command) => {
      const session = new Session(io, command);
      const client = session.client.withoutTarget();
      const { vip, service, nfsPort } = options;
      const job = await client.enableIngress({
        ...{ vip, ...asked(options) },
        ...(service === undefined ? {} : { services: [...new Set(service)] }),
        ...(nfsPort === undefined || nfsPort === 0 ? {} : { nfs_port: nfsPort }),
      });
      if (options.wait) await session.finish(job, client);
      await session.print(await client.ingress(), (report) => placedText(report, noneOf.ingress));
    });

  enable
    .command("nfs")
    .description(
      "NFS gateways to file systems: on this node, on others by name, or so many wherever they fit",
    )
    .requiredOption("--cluster-id <name>", "name of the service, of which there is one")
    .option("--bind-address <address>", "where they listen (on all addresses of a host, or as before)")
    .option("--bind-port <port>", "the port (2049, or as before)", portNumber)
    .option(
      "--v4-min-version <n>",
      "lowest minor version of NFS 4: 0, 1 or 2 (1, or as before)",
      minorVersion,
    )
    .option("--target <node>", "member that runs one; may be given again (this node)", collect, [])
    .option("--count <n>", "so many in all; another member takes over when one is away for long", wholeNumber)
    .option("--zone <zone>", "those that are not named only there; '*': anywhere (as before)")
    .option("--wait [bool]", "wait until they serve", truth, true)
    .action(async (options: EnableOptions & NfsOptions, command: Command) => {
      const session = new Session(io, command);
      const client = session.client.withoutTarget();
      const job = await client.enableNfs({ ...asked(options), ...nfsAsked(options) });
      if (options.wait) await session.finish(job, client);
      await session.print(await client.nfs(), (report) => placedText(report, noneOf.nfs));
    });

  for (const [service, what] of [
    ["rbd-mirror", "Copies the images of other sites to here"],
    ["cephfs-mirror", "Copies folders from here to other sites"],
  ] as const) {
    enable
      .command(service)
      .description(`${what}: on this node, on others, or so many wherever they fit`)
      .option("--target <node>", "member that runs one; may be given again (this node)", collect, [])
      .option(
        "--count <n>",
        "so many in all; another member takes over when one is away for long",
        wholeNumber,
      )
      .option("--zone <zone>", "those that are not named only there; '*': anywhere (as before)")
      .option("--wait [bool]", "wait until they run", truth, true)
      .action(async (options: EnableOptions, command: Command) => {
        const session = new Session(io, command);
        const client = session.client.withoutTarget();
        const [want, look] =
          service === "rbd-mirror"
            ? [client.enableMirror, client.mirrors]
            : [client.enableFileMirror, client.fileMirrors];
        const job = await want(asked(options));
        if (options.wait) await session.finish(job, client);
        await session.print(await look(), (report) => placedText(report, noneOf[service]));
      });
  }

  for (const [daemon, what] of [
    ["mon", "A monitor on this node, or on others by name, instead of one of those that nobody named"],
    ["mgr", "A manager on this node, or on others by name; up to three are placed without being asked for"],
    [
      "mds",
      "A metadata server on this node, or on others by name; up to three are placed without being asked for",
    ],
  ] as const) {
    enable
      .command(daemon)
      .description(what)
      .option("--target <node>", "member that runs one; may be given again (this node)", collect, [])
      .option("--wait [bool]", "wait until it runs", truth, true)
      .action(async (options: DisableOptions, command: Command) => {
        const session = new Session(io, command);
        const client = session.client.withoutTarget();
        const job = await client.enableCounted(daemon, { targets: [...options.target] });
        if (options.wait) await session.finish(job, client);
        await session.print(await client.counted(daemon), (report) => placedText(report, noneOf[daemon]));
      });
  }

  enable
    .command("dashboard")
    .description("Ceph's dashboard, with TLS and a user, on whichever manager is active")
    .option(
      "--ssl-port <port>",
      "where managers listen (8443, or as before); the ingress: the next one",
      panelPort,
    )
    .option(...certificateOption)
    .option(...keyOption)
    .option("--new-password", "give the user admin another password, and show it")
    .action(async (options: DashboardOptions, command: Command) => {
      const session = new Session(io, command);
      const { sslPort, newPassword: new_password = false } = options;
      const report = await session.client.enableDashboard({
        ...{ new_password, ...(await pairOf(options)) },
        ...(sslPort === undefined ? {} : { ssl_port: sslPort }),
      });
      await session.print(report, panelText);
    });

  enable
    .command("prometheus")
    .description("Ceph's figures for Prometheus, on whichever manager is active")
    .option(
      "--port <port>",
      "where managers listen (9283, or as before); the ingress: the next one",
      panelPort,
    )
    .action(async ({ port }: { readonly port?: number }, command: Command) => {
      const session = new Session(io, command);
      await session.print(
        await session.client.enablePrometheus(port === undefined ? {} : { port }),
        panelText,
      );
    });

  program
    .command("certificate")
    .description("Certificates of services")
    .command("set")
    .description("Give a service another certificate: it is taken over by one gateway after the other")
    .addArgument(new Argument("<service>", "whose").choices(["rgw"]))
    .requiredOption(...certificateOption)
    .requiredOption(...keyOption)
    .option("--restart", "as it is done in any case")
    .action(async (_service: string, options: CertificateOptions, command: Command) => {
      const session = new Session(io, command);
      const client = session.client.withoutTarget();
      const { ssl_certificate = "", ssl_private_key = "" } = await pairOf(options);
      const job = await client.setGatewayCertificate({ ssl_certificate, ssl_private_key });
      await session.finish(job, client);
      await session.print(await client.gateways(), (report) => placedText(report, noneOf.rgw));
    });

  const disable = program.command("disable").description("Say which services are wanted no more");
  for (const panel of ["dashboard", "prometheus"] as const) {
    disable
      .command(panel)
      .description(
        panel === "dashboard" ? "Its users and settings stay" : "Managers show Ceph's figures no more",
      )
      .action(async (_options: object, command: Command) => {
        const session = new Session(io, command);
        await session.print(await session.client.disablePanel(panel), () => `${panel} is disabled.\n`);
      });
  }
  for (const daemon of ["mon", "mgr", "mds"] as const) {
    disable
      .command(daemon)
      .description(
        daemon === "mon"
          ? "None on this node, or on others by name; another member has one first, or it is refused"
          : "None on this node, or on others by name; another member runs one instead, if there is one",
      )
      .option("--target <node>", "member that is to run none; may be given again (this node)", collect, [])
      .option("--wait [bool]", "wait until it is taken off", truth, true)
      .action(async (options: DisableOptions, command: Command) => {
        const session = new Session(io, command);
        const client = session.client.withoutTarget();
        const job = await client.disableCounted(daemon, { targets: [...options.target] });
        if (options.wait) await session.finish(job, client);
        await session.print(await client.counted(daemon), (report) => placedText(report, noneOf[daemon]));
      });
  }
  for (const service of ["rgw", "nfs", "ingress", "rbd-mirror", "cephfs-mirror"] as const) {
    const command = disable.command(service);
    if (service === "nfs") command.option("--cluster-id <name>", "name of the service");
    command
      .description(
        {
          rgw: "No S3 gateway on this node, on others by name, or anywhere; users and buckets stay",
          nfs: "No NFS gateway on this node, on others by name, or anywhere; exports stay written down",
          ingress: "This node, or others by name, stand ready for the common address no more; or nobody",
          "rbd-mirror":
            "Images of other sites are copied by this node, by others by name, or by none no more",
          "cephfs-mirror":
            "Folders are copied to other sites by this node, by others by name, or by none no more",
        }[service],
      )
      .option("--target <node>", "member that has one; may be given again (this node)", collect, [])
      .option("--all", "none is wanted any more, wherever they are")
      .option("--wait [bool]", "wait until they are taken off", truth, true)
      .action(async (options: DisableOptions, command: Command) => {
        if (options.all && options.target.length > 0) {
          throw new MicrocephError("USAGE", "--all goes without --target");
        }
        const session = new Session(io, command);
        const client = session.client.withoutTarget();
        const { clusterId } = options;
        const request = { targets: [...options.target], all: options.all ?? false };
        const named = clusterId === undefined ? request : { ...request, cluster_id: clusterId };
        const calls = {
          nfs: [() => client.disableNfs(named), client.nfs],
          rgw: [client.disableGateway, client.gateways],
          ingress: [client.disableIngress, client.ingress],
          "rbd-mirror": [client.disableMirror, client.mirrors],
          "cephfs-mirror": [client.disableFileMirror, client.fileMirrors],
        } as const;
        const [takeOff, look] = calls[service];
        const job = await takeOff(request);
        if (options.wait) await session.finish(job, client);
        await session.print(await look(), (report) => placedText(report, noneOf[service]));
      });
  }
}

function asked({ target, count, zone, port, sslPort }: EnableOptions): {
  targets: string[];
  count?: number;
  zone?: string;
  port?: number;
  ssl_port?: number;
} {
  return {
    targets: [...target],
    ...(count === undefined ? {} : { count }),
    ...(zone === undefined ? {} : { zone }),
    ...(port === undefined || port === 0 ? {} : { port }),
    ...(sslPort === undefined || sslPort === 0 ? {} : { ssl_port: sslPort }),
  };
}

function nfsAsked({ clusterId, bindAddress, bindPort, v4MinVersion }: NfsOptions): {
  cluster_id: string;
  bind_address?: string;
  bind_port?: number;
  v4_min_version?: number;
} {
  return {
    cluster_id: clusterId,
    ...(bindAddress === undefined ? {} : { bind_address: bindAddress }),
    ...(bindPort === undefined || bindPort === 0 ? {} : { bind_port: bindPort }),
    ...(v4MinVersion === undefined ? {} : { v4_min_version: v4MinVersion }),
  };
}

function frontedServices(text: string, before: readonly Fronted[] = []): Fronted[] {
  return collect(text, before).map((name) => {
    const service = fronted.find((one) => one === name);
    if (service !== undefined) return service;
    throw new MicrocephError("USAGE", `--service takes ${fronted.join(", ")}, not "${name.slice(0, 40)}"`);
  });
}

function minorVersion(text: string): number {
  if (/^[0-2]$/.test(text)) return Number(text);
  throw new MicrocephError("USAGE", `--v4-min-version takes 0, 1 or 2, not "${text.slice(0, 40)}"`);
}

/** What is a path is read here: the daemon's files are not the caller's. */
async function pairOf({
  sslCertificate,
  sslPrivateKey,
}: CertificateOptions): Promise<{ ssl_certificate?: string; ssl_private_key?: string }> {
  const read = (text: string): Promise<string> | string => {
    if (!/^\.{0,2}\//.test(text)) return text;
    return readFile(text, "utf8").catch(() => {
      throw new MicrocephError("USAGE", `${text} cannot be read`);
    });
  };
  return {
    ...(sslCertificate === undefined ? {} : { ssl_certificate: await read(sslCertificate) }),
    ...(sslPrivateKey === undefined ? {} : { ssl_private_key: await read(sslPrivateKey) }),
  };
}

function wholeNumber(text: string): number {
  if (!/^[1-9][0-9]{0,3}$/.test(text)) {
    throw new MicrocephError("USAGE", `--count takes a whole number from 1, not "${text.slice(0, 40)}"`);
  }
  return Number(text);
}

/** 0 is MicroCeph's word for the default. */
function portNumber(text: string): number {
  const port = /^(?:0|[1-9][0-9]{0,4})$/.test(text) ? Number(text) : Number.NaN;
  if (port <= 65_535) return port;
  throw new MicrocephError("USAGE", `--port takes a number up to 65535, not "${text.slice(0, 40)}"`);
}

/** Of the two the ingress has the next one. */
function panelPort(text: string): number {
  const port = portNumber(text);
  if (port >= 1024 && port < 65_535) return port;
  throw new MicrocephError("USAGE", `it takes a port from 1024 to 65534, not ${port}`);
}

function panelText({ urls, user, password }: PanelReport): string {
  const login =
    password === null
      ? user === null
        ? ""
        : `User: ${user} (its password is what it was; --new-password makes another)\n`
      : `User: ${user}\nPassword: ${password}\nIt is shown only now.\n`;
  return `${urls.join("\n")}\n${login}`;
}

function placedText({ wanted, nodes }: PlacedReport, none: string): string {
  if (wanted === null && nodes.length === 0) return `${none}\n`;
  const rows = nodes.map(({ node, url, state }) => [node, url ?? "-", state]);
  return borderedTable(["NODE", "URL", "STATE"], rows);
}
