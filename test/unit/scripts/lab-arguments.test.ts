import { describe, expect, it } from "vitest";
import { labArguments } from "../../../scripts/lab/lab-arguments.ts";

describe("labArguments", () => {
  const good: [string, string, object][] = [
    ["up", "0", { verb: "up", bare: false }],
    [
      "up --nodes 12 --admission approve --expect 2 --name 3",
      "3",
      { nodes: 12, admission: "approve", expect: 2 },
    ],
    ["--name blue add n4", "blue", { verb: "add", node: "n4" }],
    ["status --json --name=x", "x", { verb: "status", json: true }],
    ["exec n1 -- ls -l --name y", "0", { verb: "exec", node: "n1", command: ["ls", "-l", "--name", "y"] }],
    ["exec n1 ls -l -- --x", "0", { command: ["ls", "-l", "--", "--x"] }],
    ["exec n1 --name b -- up", "b", { node: "n1", command: ["up"] }],
    ["exec --name b n1 -- -x", "b", { node: "n1", command: ["-x"] }],
    ["disk n2 4G --count 3", "0", { verb: "disk", node: "n2", size: "4G", count: 3 }],
    ["disk n2 4G", "0", { count: 1 }],
    ["kill n3 ceph", "0", { target: "ceph" }],
    ["kill n3", "0", { target: "all" }],
    ["pause n1", "0", { verb: "pause", node: "n1", program: undefined }],
    ["resume n1 ceph-mon", "0", { verb: "resume", program: "ceph-mon" }],
    ["loss n2 30%", "0", { verb: "loss", node: "n2", percent: 30 }],
    ["cut-one-way n1 n2", "0", { from: "n1", to: "n2" }],
    ["clock n1 -3600 --name b", "b", { verb: "clock", node: "n1", seconds: -3600 }],
    ["clock n1 +86400", "0", { seconds: 86_400 }],
    ["crash n1 12", "0", { verb: "crash", node: "n1", step: 12 }],
    ["fill n3", "0", { verb: "fill", node: "n3" }],
    ["up --state-size 300M --clock --steps", "0", { stateBytes: 314_572_800, clock: true, steps: true }],
    ["heal --all", "0", { verb: "heal", node: undefined }],
    ["partition n1,n2 n3", "0", { groups: [["n1", "n2"], ["n3"]] }],
    ["renumber n1 10.77.0.9", "0", { address: "10.77.0.9" }],
    ["up --help", "0", { verb: "help" }],
  ];
  it.each(good)("%s", (line, name, request) => {
    const parsed = labArguments(line.split(" "));
    expect(parsed.name).toBe(name);
    expect(parsed.request).toMatchObject(request);
  });

  const bad: [string, RegExp][] = [
    ["", /verb is missing/],
    ["fly", /no verb "fly"/],
    ["up --nodes 0", /1 to 64/],
    ["up --nodes 3x", /1 to 64/],
    ["up --admission open", /auto, approve or closed/],
    ["up --json", /takes no --json/],
    ["up --frob", /--frob/],
    ["up now", /does not take "now"/],
    ["add", /needs a node/],
    ["add web1", /not "web1"/],
    ["add n65", /n64/],
    ["exec n1", /needs a command/],
    ["disk n1", /needs a size/],
    ["kill n1 mon", /daemon, ceph or all/],
    ["loss n1", /needs a share/],
    ["loss n1 101", /from 0 to 100/],
    ["cut-one-way n1", /needs a node/],
    ["clock n1 soon", /takes seconds/],
    ["crash n1", /number of a step/],
    ["up --state-size small", /disk size/],
    ["heal", /a node or --all/],
    ["heal n1 --all", /a node or --all/],
    ["partition", /needs groups/],
    ["status --name A/B", /--name takes/],
    ["status --name 999", /--name takes/],
  ];
  it.each(bad)("refuses: %s", (line, text) => {
    expect(() => labArguments(line === "" ? [] : line.split(" "))).toThrow(text);
  });
});
