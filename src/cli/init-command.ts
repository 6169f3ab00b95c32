import type { Command } from "commander";
import type { AvailableDisk, DiskReport } from "../api/contract/disks.ts";
import type { MeshStatus } from "../api/contract/mesh.ts";
import { isMicrocephError, MicrocephError, messageOf } from "../errors/microceph-error.ts";
import type { CliIo } from "./io.ts";
import { printable } from "./render/sanitize.ts";
import { Session } from "./session.ts";

/** Milliseconds between two looks at whether the cluster has taken this node. */
const lookMs = 1_000;

/** `microceph init`: asks what is needed for a first set-up, and does it. */
export function addInitCommand(program: Command, io: CliIo): void {
  program
    .command("init")
    .description("Guided first set-up: found or join a cluster, tokens for further nodes, disks")
    .action(async (_options: object, command: Command) => {
      const guide = new Guide(new Session(io, command));
      await guide.run();
    });
}

/** Questions on standard error, answers from standard input, one line each; what it does is what commands do. */
class Guide {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async run(): Promise<void> {
    const status = await this.#session.client.mesh();
    const { state } = status.self;
    if (state === "removed") {
      throw new MicrocephError(
        "ALREADY_INITIALIZED",
        "this node was a member and was removed from its cluster",
      );
    }
    if (state === "fresh") await this.#enter(status);
    else this.#say(`This node is ${state === "member" ? "a member" : "claimed"} already.`);
    await this.#untilMember();
    await this.#tokens();
    await this.#disks();
    this.#say("Done. `microceph status` shows the whole.");
  }

  #say(text: string): void {
    this.#session.io.stderr.write(`${printable(text)}\n`);
  }

  /** One answer; the default for an empty line. Throws USAGE at the end of the input. */
  async #ask(question: string, fallback = ""): Promise<string> {
    const { io } = this.#session;
    const answer = await io.ask(`${printable(question)}${fallback === "" ? "" : ` [${fallback}]`}: `);
    if (io.signal.aborted) throw new MicrocephError("CANCELLED", "nothing more is set up");
    if (answer === null) throw new MicrocephError("USAGE", "the input ended before all was answered");
    return answer.trim() === "" ? fallback : answer.trim();
  }

  async #yes(question: string): Promise<boolean> {
    for (;;) {
      const answer = (await this.#ask(`${question} (yes/no)`, "no")).toLowerCase();
      if (answer === "yes" || answer === "y") return true;
      if (answer === "no" || answer === "n") return false;
    }
  }

  /** Asked again until the answer is accepted. */
  async #choose(question: string, count: number, fallback: string): Promise<number> {
    for (;;) {
      const answer = await this.#ask(question, fallback);
      if (/^\d{1,3}$/.test(answer) && Number(answer) >= 1 && Number(answer) <= count) return Number(answer);
      this.#say(`A number from 1 to ${count}, please.`);
    }
  }

  async #enter(status: MeshStatus): Promise<void> {
    const { client } = this.#session;
    const seen = status.pending.map(({ name }) => name);
    if (seen.length > 0) this.#say(`Other nodes without a cluster are seen: ${seen.join(", ")}.`);
    const { fingerprints } = await client.fingerprint();
    const choices: { readonly text: string; readonly act: () => Promise<void> }[] = [
      { text: "found a new cluster on this node", act: () => this.#bootstrap() },
      ...fingerprints.map(({ cluster, words }) => ({
        text: `join the cluster ${cluster.name} (a member must show the same words for this node: ${words})`,
        act: async () => {
          await client.join({ cluster: cluster.id });
          this.#say("A member approves it, if it does not take new nodes by itself: microceph mesh approve");
        },
      })),
      { text: "join a cluster with a token", act: () => this.#joinByToken() },
      {
        text: "wait: three nodes that see each other form a cluster by themselves",
        act: async () => undefined,
      },
    ];
    choices.forEach(({ text }, index) => {
      this.#say(`  ${index + 1}) ${text}`);
    });
    const chosen = await this.#choose("What shall this node do", choices.length, "1");
    await choices[chosen - 1]?.act();
  }

  async #bootstrap(): Promise<void> {
    const name = await this.#ask("Name of the cluster (empty: one is made up)");
    const microcephIp = await this.#ask("Address of this node (empty: that of the default route)");
    const request = { ...(name === "" ? {} : { name }), ...(microcephIp === "" ? {} : { microcephIp }) };
    await this.#session.finish(await this.#session.client.bootstrap(request));
  }

  async #joinByToken(): Promise<void> {
    const token = await this.#ask("Token, as `microceph cluster add` has printed it");
    await this.#session.finish(await this.#session.client.joinByToken({ token }));
  }

  async #untilMember(): Promise<void> {
    const { client, io } = this.#session;
    let said = "";
    for (;;) {
      const { self } = await client.mesh();
      if (self.state === "member") return;
      if (io.signal.aborted) throw new MicrocephError("CANCELLED", "no longer waiting");
      const waiting = self.waitingFor ?? "it is taken into the cluster";
      if (waiting !== said) this.#say(`Waiting: ${waiting}`);
      said = waiting;
      await io.pause(lookMs);
    }
  }

  async #tokens(): Promise<void> {
    this.#say("Further nodes on this network find the cluster by themselves; others join with a token.");
    for (;;) {
      const name = await this.#ask("Name of a node that is to join with a token (empty: none)");
      if (name === "") return;
      await this.#tolerantly(async () => {
        const { token } = await this.#session.client.issueToken({ name });
        this.#session.io.stdout.write(`${printable(token)}\n`);
        this.#say(`On ${name}: microceph cluster join TOKEN`);
      });
    }
  }

  async #disks(): Promise<void> {
    const { client } = this.#session;
    for (;;) {
      const disks = await client.availableDisks();
      this.#say(disks.length === 0 ? "No empty disk is free on this node." : "Free disks of this node:");
      for (const disk of disks) this.#say(`  ${diskLine(disk)}`);
      const path = await this.#ask(
        "Disk to add: a path, all, or loop,SIZE,COUNT for trying out (empty: no more)",
      );
      if (path === "") return;
      const wipe = !path.startsWith("loop,") && path !== "all" && (await this.#yes("Erase what is on it"));
      const support = path.startsWith("loop,") ? null : await client.encryptionSupport();
      const encrypt = support?.supported === true && (await this.#yes("Encrypt it"));
      const what = path === "all" ? { all_available: true, path: [] } : { path: [path] };
      await this.#tolerantly(async () => {
        const job = await this.#session.finish(await client.addDisks({ ...what, wipe, encrypt }));
        const { report } = job.result as unknown as DiskReport;
        for (const line of report) {
          this.#say(`${line.path}: ${line.report}${line.error === "" ? "" : `, ${line.error}`}`);
        }
      });
    }
  }

  /** What is refused is said, and asked again. */
  async #tolerantly(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (!isMicrocephError(error) || error.code === "CANCELLED") throw error;
      this.#say(`Error: ${messageOf(error)} [${error.code}]`);
    }
  }
}

function diskLine({ path, model, sizeBytes, type }: AvailableDisk): string {
  return [path, `${(sizeBytes / 2 ** 30).toFixed(1)} GiB`, type, model]
    .filter((part) => part !== "")
    .join("  ");
}
