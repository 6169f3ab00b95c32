import { parseArgs } from "node:util";
import { LabError } from "./lab-error.ts";
import { isLabName } from "./lab-numbers.ts";
import { isNodeName } from "./layout.ts";
import type { KillTarget } from "./node-verbs.ts";

export const usage = `Usage: npm run -s lab -- VERB [ARG…] [--name LAB]

Hosts of our own on this machine, for the demo, the tests and anyone who wants to try something.
Nodes are n1, n2, … with addresses 10.77.L.11, .12, …; L is 0 for the default lab.

  up [--nodes N] [--admission auto|approve|closed] [--expect N] [--bare]
                              make N hosts (3) and start microcephd on each; complete what is missing
  add NODE                    one more host
  down                        stop everything and remove every trace
  status [--json]             nodes, addresses, states, block devices
  exec NODE -- CMD…           run CMD there (microceph, ceph, rados, rbd and radosgw-admin are ready to use)
  shell NODE                  an interactive shell there
  log NODE                    path of the daemon's log
  disk NODE SIZE [--count N]  give the node N empty block devices and print their paths
  kill NODE [daemon|ceph|all] SIGKILL the daemon, Ceph's daemons, or everything (all: power loss, the default)
  start NODE                  start the daemon, as a boot does
  pause NODE | resume NODE    SIGSTOP | SIGCONT of daemon, etcd and ceph child; Ceph's daemons go on
  cut NODE | heal NODE|--all  pull the network cable | put it back, end any partition
  partition n1,n2 n3 …        groups that reach each other no more (nodes not named: one more group)
  renumber NODE IP            another IPv4 address
`;

export type LabRequest =
  | {
      verb: "up";
      nodes: number | undefined;
      admission: string | undefined;
      expect: number | undefined;
      bare: boolean;
    }
  | { verb: "add"; node: string; bare: boolean }
  | { verb: "down" | "help" }
  | { verb: "status"; json: boolean }
  | { verb: "exec"; node: string; command: string[] }
  | { verb: "shell" | "log" | "start" | "pause" | "resume" | "cut"; node: string }
  | { verb: "heal"; node: string | undefined }
  | { verb: "disk"; node: string; size: string; count: number }
  | { verb: "kill"; node: string; target: KillTarget }
  | { verb: "partition"; groups: string[][] }
  | { verb: "renumber"; node: string; address: string };

const options = {
  name: { type: "string" },
  help: { type: "boolean", short: "h" },
  nodes: { type: "string" },
  admission: { type: "string" },
  expect: { type: "string" },
  bare: { type: "boolean" },
  json: { type: "boolean" },
  count: { type: "string" },
  all: { type: "boolean" },
} as const;

/** Flags that each verb takes besides --name. */
const flagsOf: Readonly<Record<string, readonly string[]>> = {
  up: ["nodes", "admission", "expect", "bare"],
  add: ["bare"],
  status: ["json"],
  disk: ["count"],
  heal: ["all"],
};

function fail(text: string): never {
  throw new LabError("USAGE", `${text}; see: npm run -s lab -- help`);
}

function whole(text: string | undefined, flag: string, low: number, high: number): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,4}$/.test(text) || Number(text) < low || Number(text) > high) {
    fail(`${flag} takes a whole number from ${low} to ${high}, not "${text}"`);
  }
  return Number(text);
}

function nodeName(text: string | undefined, verb: string): string {
  if (text === undefined) return fail(`${verb} needs a node, for example n1`);
  if (!isNodeName(text)) return fail(`nodes are called n1, n2, … n64, not "${text}"`);
  return text;
}

/** What the command line asks for, and of which lab; throws USAGE. */
export function labArguments(args: readonly string[]): { name: string; request: LabRequest } {
  const { own, command } = splitCommand(args);
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(own);
  } catch (error) {
    return fail(error instanceof Error ? (error.message.split(". ")[0] ?? "") : String(error));
  }
  const { values, positionals } = parsed;
  const [verb, ...rest] = positionals;
  const name = values.name ?? "0";
  if (!isLabName(name)) {
    fail(`--name takes 0 to 250, or letters, digits and "-" (31 at most), not "${name}"`);
  }
  if (values.help === true || verb === "help") return { name, request: { verb: "help" } };
  if (verb === undefined) return fail("a verb is missing");
  for (const flag of Object.keys(values)) {
    if (flag !== "name" && !(flagsOf[verb] ?? []).includes(flag)) fail(`${verb} takes no --${flag}`);
  }
  return { name, request: request(verb, rest, values, command) };
}

/**
 * The tool's own words and those of the command that `exec` runs: the latter begin after the node, with or
 * without `--`, and are left as they are.
 */
function splitCommand(args: readonly string[]): { own: string[]; command: string[] } {
  const words: string[] = [];
  let at = 0;
  for (; at < args.length && args[at] !== "--"; at += 1) {
    const arg = args[at] ?? "";
    if (arg === "--name") at += 1;
    else if (!arg.startsWith("-") || words.length === 2) words.push(arg);
    if (words[0] === "exec" && words.length === 3) break;
  }
  return { own: args.slice(0, at), command: args.slice(args[at] === "--" ? at + 1 : at) };
}

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
}

type Values = ReturnType<typeof parse>["values"];

function request(verb: string, rest: string[], values: Values, command: string[]): LabRequest {
  const only = (count: number): void => {
    if (rest.length > count) fail(`${verb} does not take "${rest[count]}"`);
  };
  if (verb !== "exec" && command.length > 0) fail(`${verb} takes nothing after --`);
  switch (verb) {
    case "up": {
      only(0);
      const admission = values.admission;
      if (admission !== undefined && !["auto", "approve", "closed"].includes(admission)) {
        fail(`--admission takes auto, approve or closed, not "${admission}"`);
      }
      const nodes = whole(values.nodes, "--nodes", 1, 64);
      return {
        verb,
        nodes,
        admission,
        expect: whole(values.expect, "--expect", 2, 1000),
        bare: values.bare ?? false,
      };
    }
    case "add":
      only(1);
      return { verb, node: nodeName(rest[0], verb), bare: values.bare ?? false };
    case "down":
      only(0);
      return { verb };
    case "status":
      only(0);
      return { verb, json: values.json ?? false };
    case "exec": {
      const node = nodeName(rest[0], verb);
      if (command.length === 0) fail("exec needs a command: exec n1 -- CMD…");
      return { verb, node, command };
    }
    case "shell":
    case "log":
    case "start":
    case "pause":
    case "resume":
    case "cut":
      only(1);
      return { verb, node: nodeName(rest[0], verb) };
    case "heal":
      only(1);
      if (values.all === true ? rest.length > 0 : rest.length === 0) fail("heal takes a node or --all");
      return { verb, node: values.all === true ? undefined : nodeName(rest[0], verb) };
    case "disk": {
      only(2);
      const size = rest[1] ?? fail("disk needs a size: disk n1 4G");
      const count = whole(values.count, "--count", 1, 64) ?? 1;
      return { verb, node: nodeName(rest[0], verb), size, count };
    }
    case "kill": {
      only(2);
      const target = rest[1] ?? "all";
      if (target !== "daemon" && target !== "ceph" && target !== "all") {
        return fail(`kill takes daemon, ceph or all, not "${target}"`);
      }
      return { verb, node: nodeName(rest[0], verb), target };
    }
    case "partition": {
      const groups = rest.map((group) => group.split(",").map((node) => nodeName(node, verb)));
      if (groups.length === 0) fail("partition needs groups: partition n1,n2 n3");
      return { verb, groups };
    }
    case "renumber":
      only(2);
      return { verb, node: nodeName(rest[0], verb), address: rest[1] ?? fail("renumber needs an address") };
    default:
      return fail(`there is no verb "${verb}"`);
  }
}
