// The lab's command line: npm run -s lab -- VERB …
import { enterArguments, nodeEnvironment } from "./lab/enter.ts";
import { type LabRequest, labArguments, usage } from "./lab/lab-arguments.ts";
import { LabError } from "./lab/lab-error.ts";
import { LabHosts } from "./lab/lab-hosts.ts";
import { labStatus, statusText } from "./lab/lab-status.ts";
import { daemonSteps } from "./lab/node-steps.ts";
import * as verbs from "./lab/node-verbs.ts";
import { findProgram } from "./lab/run.ts";

async function main(args: readonly string[]): Promise<void> {
  const { name, request } = labArguments(args);
  if (request.verb === "help") {
    process.stdout.write(usage);
    return;
  }
  if (process.getuid?.() !== 0) {
    throw new LabError(
      "NEEDS_ROOT",
      "the lab makes network namespaces and mounts; run it as root or by npm run lab, which does without",
    );
  }
  await perform(new LabHosts(name, { say: (line) => console.error(line) }), request);
}

async function perform(lab: LabHosts, request: Exclude<LabRequest, { verb: "help" }>): Promise<void> {
  switch (request.verb) {
    case "up":
      return lab.up(request);
    case "add":
      return lab.add(request.node, request);
    case "down":
      if (!(await lab.down())) console.error(`The lab "${lab.name}" was not up.`);
      return;
    case "status": {
      const status = await labStatus(lab);
      console.log(request.json ? JSON.stringify(status) : statusText(status));
      return;
    }
    case "exec":
      return become(lab, request.node, request.command);
    case "shell":
      return become(lab, request.node, ["bash", "-i"]);
    case "log":
      console.log(lab.node(request.node).files.log);
      return;
    case "start":
      return lab.start(request.node);
    case "disk":
      for (const path of await verbs.addDisks(lab, request.node, request.size, request.count))
        console.log(path);
      return;
    case "kill":
      await verbs.killNode(lab, request.node, request.target);
      return;
    case "pause":
      return verbs.pauseNode(lab, request.node, request.program);
    case "resume":
      return verbs.resumeNode(lab, request.node, request.program);
    case "cut":
      return verbs.cutNode(lab, request.node);
    case "loss":
      return verbs.loseOn(lab, request.node, request.percent);
    case "cut-one-way":
      return verbs.cutOneWay(lab, request.from, request.to);
    case "fill":
      return verbs.fillNode(lab, request.node);
    case "drain":
      return verbs.drainNode(lab, request.node);
    case "clock":
      return verbs.setNodeClock(lab, request.node, request.seconds);
    case "crash":
      return verbs.crashNodeAt(lab, request.node, request.step);
    case "steps":
      for (const { number, name } of daemonSteps(lab.node(request.node).files)) {
        console.log(`${number ?? "-"}\t${name}`);
      }
      return;
    case "heal":
      return request.node === undefined ? verbs.healAll(lab) : verbs.healNode(lab, request.node);
    case "partition":
      return verbs.partitionNodes(lab, request.groups);
    case "renumber":
      return verbs.renumberNode(lab, request.node, request.address);
  }
}

/** Turn this process into the command in the node: its terminal, signals and exit code are the command's. */
function become(lab: LabHosts, node: string, command: readonly string[]): never {
  const program = findProgram("nsenter");
  const args = enterArguments(lab.node(node).holder, command);
  const prompt = { PS1: `\\[\\e[1m\\]${node}\\[\\e[0m\\]:\\w# ` };
  // The type says that execve may be missing: on Windows only.
  process.execve?.(program, ["nsenter", ...args], { ...prompt, ...nodeEnvironment(process.env) });
  throw new LabError("PROGRAM_FAILED", "cannot start nsenter");
}

main(process.argv.slice(2)).catch((error: unknown) => {
  if (error instanceof LabError) {
    console.error(`Error: ${error.message} [${error.code}]`);
    process.exitCode = error.exitCode;
  } else {
    console.error(error);
    process.exitCode = 1;
  }
});
