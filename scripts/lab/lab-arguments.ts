import { parseArgs } from "node:util";
import { LabError } from "./lab-error.ts";
import { isLabName } from "./lab-numbers.ts";
import { isNodeName } from "./layout.ts";
import { lossPercent } from "./network-faults.ts";
import { diskBytes } from "./node-disks.ts";
import type { KillTarget } from "./node-verbs.ts";

export const usage = `Usage: npm run -s lab -- VERB [ARG…] [--name LAB]

Hosts of our own on this machine, for the demo, the tests and anyone who wants to try something.
Nodes are n1, n2, … with addresses 10.77.L.11, .12, …; L is 0 for the default lab.

  up [--nodes N] [--admission auto|approve|closed] [--expect N] [--bare]
     [--state-size SIZE] [--clock] [--steps]
                              make N hosts (3) and start microcephd on each; complete what is missing
                              (--state-size: each state has a file system of its own, for fill;
                              --clock: daemons see a clock that can be set; --steps: and can be ended at a step)
  add NODE                    one more host
  down                        stop everything and remove every trace
  status [--json]             nodes, addresses, states, block devices
  exec NODE -- CMD…           run CMD there (microceph, ceph, rados, rbd and radosgw-admin are ready to use)
  shell NODE                  an interactive shell there
  log NODE                    path of the daemon's log
  disk NODE SIZE [--count N]  give the node N empty block devices and print their paths
  kill NODE [daemon|ceph|all] SIGKILL the daemon, Ceph's daemons, or everything (all: power loss, the default)
  start NODE                  start the daemon, as a boot does
  pause NODE [PROGRAM]        SIGSTOP of daemon, etcd and ceph child, or of the processes of one program
                              (daemon, etcd, ceph-mon, …); nothing else stops
  resume NODE [PROGRAM]       SIGCONT of everything stopped, or of that program
  cut NODE | heal NODE|--all  pull the network cable | put it back, end any partition
  loss NODE PERCENT           lose this share of all packets from and to the node at random (0 ends it)
  cut-one-way A B             drop what A sends to B, and not what B sends to A
  fill NODE | drain NODE      fill the state's file system to the last byte | give the room back
  clock NODE SECONDS          set the clock that daemon and ceph child see ahead (+3600) or back (-3600)
  crash NODE STEP             SIGKILL the daemon at this step from now: 1 is its next write or start
  steps NODE                  the steps that the node's daemons have taken
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
      stateBytes: number | undefined;
      clock: boolean | undefined;
      steps: boolean | undefined;
    }
  | { verb: "add"; node: string; bare: boolean }
  | { verb: "down" | "help" }
  | { verb: "status"; json: boolean }
  | { verb: "exec"; node: string; command: string[] }
  | { verb: "shell" | "log" | "start" | "cut" | "fill" | "drain" | "steps"; node: string }
  | { verb: "pause" | "resume"; node: string; program: string | undefined }
  | { verb: "loss"; node: string; percent: number }
  | { verb: "cut-one-way"; from: string; to: string }
  | { verb: "clock"; node: string; seconds: number }
  | { verb: "crash"; node: string; step: number }
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
  "state-size": { type: "string" },
  clock: { type: "boolean" },
  steps: { type: "boolean" },
} as const;

/** Flags that each verb takes besides --name. */
const flagsOf: Readonly<Record<string, readonly string[]>> = {
  up: ["nodes", "admission", "expect", "bare", "state-size", "clock", "steps"],
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

function seconds(text: string | undefined): number {
  if (text === undefined || !/^[+-]?[0-9]{1,9}$/.test(text)) {
    return fail(`clock takes seconds, for example clock n1 +3600, not "${text ?? ""}"`);
  }
  return Number(text);
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
  // A number below zero is no option.
  const below = args.filter((arg) => /^-[0-9]+$/.test(arg));
  const rest = args.filter((arg) => !below.includes(arg));
  return parseArgs({ args: [...rest, "--", ...below], options, strict: true, allowPositionals: true });
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
        stateBytes: values["state-size"] === undefined ? undefined : diskBytes(values["state-size"]),
        clock: values.clock,
        steps: values.steps,
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
    case "cut":
    case "fill":
    case "drain":
    case "steps":
      only(1);
      return { verb, node: nodeName(rest[0], verb) };
    case "pause":
    case "resume":
      only(2);
      return { verb, node: nodeName(rest[0], verb), program: rest[1] };
    case "loss":
      only(2);
      return {
        verb,
        node: nodeName(rest[0], verb),
        percent: lossPercent(rest[1] ?? fail("loss needs a share: loss n1 20")),
      };
    case "cut-one-way":
      only(2);
      return { verb, from: nodeName(rest[0], verb), to: nodeName(rest[1], verb) };
    case "clock":
      only(2);
      return { verb, node: nodeName(rest[0], verb), seconds: seconds(rest[1]) };
    case "crash":
      only(2);
      return {
        verb,
        node: nodeName(rest[0], verb),
        step: whole(rest[1], "crash", 1, 9999) ?? fail("crash needs the number of a step: crash n1 12"),
      };
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
