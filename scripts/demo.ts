// npm run demo [-- --nodes N] [-- --name LAB]: fresh hosts on one LAN become one healthy Ceph cluster.
import { parseArgs } from "node:util";
import { messageOf } from "../src/errors/microceph-error.ts";
import { DemoCluster, monitorsFor } from "./demo/cluster.ts";
import { Steps, type Tell } from "./demo/steps.ts";
import { LabError } from "./lab/lab-error.ts";
import { LabHosts } from "./lab/lab-hosts.ts";
import { isLabName } from "./lab/lab-numbers.ts";
import { readLabRecord } from "./lab/lab-record.ts";
import { nodeFiles } from "./lab/layout.ts";
import { lastLines } from "./lab/node-daemon.ts";
import { healAll } from "./lab/node-verbs.ts";

interface DemoOptions {
  readonly nodes: number;
  /** Undefined: the default lab, or one of its own if that has another number of hosts. */
  readonly name: string | undefined;
}

function demoArguments(args: string[]): DemoOptions {
  let values: { nodes?: string | undefined; name?: string | undefined };
  try {
    ({ values } = parseArgs({ args, options: { nodes: { type: "string" }, name: { type: "string" } } }));
  } catch (error) {
    throw new LabError(
      "USAGE",
      `${messageOf(error).split(". ")[0]}; the demo takes --nodes N and --name LAB`,
    );
  }
  const nodes = values.nodes ?? "3";
  if (!/^[0-9]{1,2}$/.test(nodes) || Number(nodes) < 1 || Number(nodes) > 12) {
    throw new LabError("USAGE", `--nodes takes a whole number from 1 to 12, not "${nodes}"`);
  }
  if (values.name !== undefined && !isLabName(values.name)) {
    throw new LabError("USAGE", `--name takes 0 to 250, or letters, digits and "-", not "${values.name}"`);
  }
  return { nodes: Number(nodes), name: values.name };
}

/** The lab to use: nobody's running lab is changed in size. */
function chooseLab(options: DemoOptions): LabHosts {
  const chosen = new LabHosts(options.name ?? "0");
  const present = readLabRecord(chosen.dir)?.nodes.length ?? options.nodes;
  if (present === options.nodes || present === 0) return chosen;
  if (options.name !== undefined) {
    throw new LabError(
      "NODE_EXISTS",
      `the lab "${options.name}" has ${present} hosts, not ${options.nodes}; stop it (npm run -s lab -- down --name ${options.name}) or use another --name`,
    );
  }
  const own = `demo-${options.nodes}`;
  console.log(`The default lab runs ${present} hosts and stays as it is; this demo gets the lab "${own}".`);
  return new LabHosts(own);
}

function plural(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? "" : "s"}`;
}

async function demo(lab: LabHosts, count: number): Promise<void> {
  const steps = new Steps(process.stdout, () => performance.now());
  const alone = count === 1;
  const known = readLabRecord(lab.dir) !== undefined;
  await steps.step(
    known
      ? `The lab is there: ${plural(count, "host")}, completing what is missing`
      : alone
        ? "One fresh host, microcephd on it and nothing else"
        : `${count} fresh hosts on one LAN, microcephd on each and nothing else`,
    async (tell) => {
      // Two hosts wait for a third one unless they are told that they are all.
      await lab.up({ nodes: count, ...(count === 2 ? { expect: 2 } : {}) });
      if (known) await healAll(lab);
      for (const node of lab.record().nodes) tell(`${node.name}: ${node.address.split("/")[0]}, API answers`);
    },
  );
  const cluster = new DemoCluster(
    lab,
    lab.record().nodes.map((node) => node.name),
  );

  if (alone) {
    await steps.step("It founds a cluster when told to: microceph cluster bootstrap", async (tell) => {
      if ((await cluster.mesh("n1")).cluster !== null) tell("it is a member already");
      else await cluster.run("n1", "microceph", "cluster", "bootstrap");
      await cluster.formed(tell);
    });
  } else {
    await steps.step(
      "They find each other by mDNS and found a cluster: no command, no token",
      async (tell) => {
        const { name, id } = await cluster.formed(tell);
        tell(`cluster "${name}" (${id})`);
      },
    );
  }
  await steps.step(`Ceph with ${plural(monitorsFor(count), "monitor")}`, (tell) => cluster.monitors(tell));

  const each = alone ? 3 : 1;
  await steps.step(
    `${plural(each, "OSD")} in loop files on ${alone ? "it" : "each host"}, through the CLI`,
    async (tell) => {
      if ((await cluster.addOsds(each, tell)) === 0) tell("they are there already; none was added");
    },
  );
  const domain = count >= 3 ? "host" : "osd";
  await steps.step(`The default rule spreads copies over ${domain}s`, (tell) => cluster.spread(domain, tell));
  await steps.step("Healthy", (tell) => cluster.healthy(tell));
  const objectStep = alone
    ? "An object, written and read back"
    : "An object, written on one host and read on another";
  await steps.step(objectStep, (tell: Tell) => cluster.object(tell));
  await steps.step("Still healthy, with all data in place", (tell) => cluster.settled(tell));

  steps.show("n1# microceph mesh status", await cluster.run("n1", "microceph", "mesh", "status"));
  steps.show("n1# microceph status", await cluster.run("n1", "microceph", "status"));
  steps.show("n1# ceph -s", await cluster.ceph("n1", "-s"));
  const named = lab.name === "0" ? "" : ` --name ${lab.name}`;
  steps.show(
    `Healthy after ${steps.total()}. The lab goes on running.`,
    [
      `  step into a host      npm run -s lab -- shell n1${named}`,
      `  run a command there   npm run -s lab -- exec n1${named} -- ceph -s`,
      `  pull a cable          npm run -s lab -- cut ${cluster.nodes.at(-1)}${named}`,
      `  all that it can do    npm run -s lab -- help`,
      `  stop it all           npm run -s lab -- down${named}`,
    ].join("\n"),
  );
}

async function main(): Promise<void> {
  const options = demoArguments(process.argv.slice(2));
  if (process.getuid?.() !== 0) {
    throw new LabError(
      "NEEDS_ROOT",
      "the demo makes network namespaces and mounts; run it as root or by npm run demo, which does without",
    );
  }
  const lab = chooseLab(options);
  try {
    await demo(lab, options.nodes);
  } catch (error) {
    explain(lab);
    throw error;
  }
}

/** The end of each daemon's log, and how to begin anew. */
function explain(lab: LabHosts): void {
  for (const { name } of readLabRecord(lab.dir)?.nodes ?? []) {
    const { log } = nodeFiles(lab.dir, name);
    console.error(`\n--- ${name}: last lines of ${log}\n${lastLines(log, 8)}`);
  }
  const named = lab.name === "0" ? "" : ` --name ${lab.name}`;
  console.error(`\nThe lab is left as it is. To begin anew: npm run -s lab -- down${named}`);
}

main().catch((error: unknown) => {
  const code = error instanceof LabError ? ` [${error.code}]` : "";
  console.error(`\nError: ${messageOf(error)}${code}`);
  process.exitCode = error instanceof LabError ? error.exitCode : 1;
});
