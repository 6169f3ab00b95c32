import { LabError } from "./lab-error.ts";
import { switchNamespace } from "./layout.ts";
import { capture, run } from "./run.ts";

/** One rule of the switch's packet filter, and the nodes it concerns. */
interface Rule {
  readonly handle: number;
  readonly nodes: readonly string[];
}

const table = "bridge faults";

/**
 * What goes wrong between two ports of the switch without any link going down: packets lost at random, and
 * one way cut. It is a packet filter on the bridge, so neither side notices. The kernel of many machines has no
 * netem; nftables is everywhere.
 */
export class NetworkFaults {
  readonly #namespace: string;

  constructor(number: number) {
    this.#namespace = switchNamespace(number);
  }

  /** Lose this share of all packets from and to the node, instead of what was lost before. */
  async lose(node: string, percent: number): Promise<void> {
    await this.#forget((rule) => rule.nodes.join() === node);
    if (percent === 0) return;
    // nft refuses a comparison that is always true.
    const chance = percent === 100 ? "" : `numgen random mod 100 < ${percent} `;
    const drop = (side: string): string => `${side} "${node}" ${chance}drop comment "${node}"`;
    await this.#add([drop("iifname"), drop("oifname")]);
  }

  /** Drop what goes from one node to another; the other way stays open. */
  async cutOneWay(from: string, to: string): Promise<void> {
    await this.#add([`iifname "${from}" oifname "${to}" drop comment "${from} ${to}"`]);
  }

  /** End every fault that concerns the node, or all of them. */
  async heal(node?: string): Promise<void> {
    await this.#forget((rule) => node === undefined || rule.nodes.includes(node));
  }

  async #rules(): Promise<Rule[]> {
    const report = await this.#nft(["-a", "list", "chain", ...table.split(" "), "forward"]);
    if (report.exitCode !== 0) return [];
    return [...report.stdout.matchAll(/comment "([^"]*)" # handle ([0-9]+)$/gm)].map((match) => ({
      nodes: (match[1] ?? "").split(" "),
      handle: Number(match[2]),
    }));
  }

  async #forget(which: (rule: Rule) => boolean): Promise<void> {
    const gone = (await this.#rules()).filter(which);
    await this.#apply(gone.map(({ handle }) => `delete rule ${table} forward handle ${handle}`));
  }

  async #add(rules: readonly string[]): Promise<void> {
    await this.#apply([
      `add table ${table}`,
      `add chain ${table} forward { type filter hook forward priority 0; policy accept; }`,
      ...rules.map((rule) => `add rule ${table} forward ${rule}`),
    ]);
  }

  async #apply(commands: readonly string[]): Promise<void> {
    if (commands.length === 0) return;
    await run("ip", ["netns", "exec", this.#namespace, "nft", "-f", "-"], {
      input: `${commands.join("\n")}\n`,
    });
  }

  #nft(args: readonly string[]) {
    return capture("ip", ["netns", "exec", this.#namespace, "nft", ...args]);
  }
}

/** A whole number of percent from 0 to 100; throws USAGE. */
export function lossPercent(text: string): number {
  const match = /^([0-9]{1,3})%?$/.exec(text);
  const percent = Number(match?.[1]);
  if (match === null || percent > 100) {
    throw new LabError("USAGE", `loss takes a whole number of percent from 0 to 100, not "${text}"`);
  }
  return percent;
}
