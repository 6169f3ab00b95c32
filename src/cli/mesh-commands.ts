import { Argument, type Command, Option } from "commander";
import type {
  AdmissionMode,
  FingerprintReport,
  NamedNodes,
  SelfStatus,
  StaticPeerReply,
} from "../api/contract/mesh.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import { hostPort } from "../ids/host-port.ts";
import { parseDuration } from "./duration.ts";
import type { CliIo } from "./io.ts";
import { admissionText } from "./render/admission.ts";
import { meshStatusText } from "./render/mesh-status.ts";
import { Session } from "./session.ts";
import { addSettingCommands } from "./setting-commands.ts";

/** `microceph mesh …` */
export function addMeshCommands(program: Command, io: CliIo): void {
  const mesh = program.command("mesh").description("Nodes that find each other: see, approve, refuse");

  mesh
    .command("status")
    .description("Show the cluster, its members, who may decide, and who waits for approval")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command);
      await session.print(await session.client.mesh(), (status) => meshStatusText(status, session.paint));
    });

  mesh
    .command("explain")
    .description("Say why what is placed is where it is, or is not there yet")
    .argument("<subject>", "rgw, seats, failure-domain, departures …")
    .action(async (subject: string, _options: object, command: Command) => {
      const session = new Session(io, command);
      await session.print(await session.client.explain(subject), ({ reasons }) =>
        reasons.length === 0 ? "There is nothing to say of it.\n" : `${reasons.join("\n")}\n`,
      );
    });

  mesh
    .command("approve")
    .description("Let pending nodes into the cluster")
    .argument("[node...]", "names, or PeerId prefixes of six or more characters")
    .option("--all", "every node that is pending now")
    .action(async (nodes: string[], options: { readonly all?: boolean }, command: Command) => {
      const all = options.all ?? false;
      if (all === nodes.length > 0)
        throw new MicrocephError("USAGE", "name the nodes to approve, or give --all");
      const session = new Session(io, command);
      const approved = await session.client.approve({ nodes, all });
      await session.print(approved, (list) => named(list, "Approved", "Nothing is pending."));
      if (approved.length > 0 && (await session.client.admission()).mode === "closed") {
        io.stderr.write(
          "Admission is closed: they are taken once `microceph mesh admission approve` is set.\n",
        );
      }
    });

  mesh
    .command("add")
    .description("Greet a node by its address, where no multicast goes; it is found as by mDNS then")
    .argument("<address>", "ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT")
    .option("--remove", "greet it no more")
    .action(async (address: string, options: { readonly remove?: true }, command: Command) => {
      const session = new Session(io, command);
      const peers = options.remove
        ? await session.client.removeStaticPeer(address)
        : await session.client.addStaticPeer(address);
      await session.print(peers, peerLines);
    });

  mesh
    .command("peers")
    .description("List the addresses that this node greets by unicast")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command);
      await session.print(await session.client.staticPeers(), peerLines);
    });

  mesh
    .command("deny")
    .description("Refuse a pending node until it is approved again")
    .argument("<node>", "name, or PeerId prefix of six or more characters")
    .action(async (node: string, _options: object, command: Command) => {
      const session = new Session(io, command);
      await session.print(await session.client.deny(node), (list) =>
        named(list, "Denied", "Nothing was denied."),
      );
    });

  mesh
    .command("admission")
    .description("Show or set how the cluster takes fresh nodes")
    .addArgument(
      new Argument("[mode]", "auto: claim every fresh node seen; approve: ask; closed: take none").choices([
        "auto",
        "approve",
        "closed",
      ]),
    )
    .addOption(
      new Option("--for <duration>", "how long auto lasts: 90s, 30m, 12h, 7d (24h)").argParser(
        durationArgument,
      ),
    )
    .option("--forever", "auto without end")
    .action(async (mode: AdmissionMode | undefined, options: AdmissionOptions, command: Command) => {
      checkAdmission(mode, options);
      const session = new Session(io, command);
      const admission = mode
        ? await session.client.setAdmission({
            mode,
            ...(options.for === undefined ? {} : { forSeconds: options.for }),
            ...(options.forever ? { forever: true } : {}),
          })
        : await session.client.admission();
      const asOf = new Date().toISOString();
      await session.print(admission, (clean) => `${admissionText(clean, asOf)}\n`);
    });

  addSettingCommands(mesh, io);

  mesh
    .command("fingerprint")
    .description("Show the words to compare before you approve this node")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command);
      await session.print(await session.client.fingerprint(), fingerprintText);
    });

  mesh
    .command("join")
    .description("Open this fresh node's window, so that a cluster may claim it")
    .argument("[cluster]", "id, or unique name, of the only cluster that may")
    .action(async (cluster: string | undefined, _options: object, command: Command) => {
      const session = new Session(io, command);
      const self = await session.client.join(cluster === undefined ? {} : { cluster });
      await session.print(self, (clean) => selfText(clean, `${clean.name} may be claimed now.`));
    });

  mesh
    .command("release")
    .description("Free this node from a claim that was not completed")
    .action(async (_options: object, command: Command) => {
      const session = new Session(io, command);
      await session.print(await session.client.release(), (clean) =>
        selfText(clean, `${clean.name} is ${clean.state}.`),
      );
    });
}

interface AdmissionOptions {
  readonly for?: number;
  readonly forever?: boolean;
}

function checkAdmission(mode: AdmissionMode | undefined, options: AdmissionOptions): void {
  if (options.for !== undefined && options.forever) {
    throw new MicrocephError("USAGE", "--for and --forever exclude each other");
  }
  if ((options.for !== undefined || options.forever) && mode !== "auto") {
    throw new MicrocephError("USAGE", "--for and --forever go with `admission auto` only");
  }
}

function peerLines(peers: readonly StaticPeerReply[]): string {
  if (peers.length === 0) return "No node is greeted by its address.\n";
  return peers.map(({ address, port }) => `${hostPort(address, port)}\n`).join("");
}

function durationArgument(text: string): number {
  return parseDuration(text);
}

function named(nodes: NamedNodes, done: string, none: string): string {
  if (nodes.length === 0) return `${none}\n`;
  return nodes.map(({ name, fingerprint, id }) => `${done} ${name}  ${fingerprint}  ${id}\n`).join("");
}

function fingerprintText(report: FingerprintReport): string {
  if (report.fingerprints.length === 0) {
    return `${report.name} sees no cluster, and a fingerprint takes two. Look at \`microceph mesh status\`.\n`;
  }
  const lines = report.fingerprints.map(
    ({ cluster, words }) => `${words}  (${report.name} with ${cluster.name}, ${cluster.id})`,
  );
  return `${lines.join("\n")}\n`;
}

function selfText(self: SelfStatus, headline: string): string {
  return `${headline}\n${self.waitingFor === null ? "" : `Waiting: ${self.waitingFor}\n`}`;
}
