import { describe, expect, test } from "vitest";
import { parseDiskSpec, parseDiskSpecs } from "../../../src/api/contract/disk-spec.ts";

describe("what disk add takes", () => {
  test.each([
    ["/dev/vdb", { kind: "device", path: "/dev/vdb" }],
    ["/dev/disk/by-id/scsi-1:2", { kind: "device", path: "/dev/disk/by-id/scsi-1:2" }],
    ["loop,4G,3", { kind: "loop", sizeBytes: 4_294_967_296, count: 3 }],
    ["loop,1024M,1", { kind: "loop", sizeBytes: 1_073_741_824, count: 1 }],
    ["loop,1T,100", { kind: "loop", sizeBytes: 1_099_511_627_776, count: 100 }],
    ["loop,1024,1", { kind: "loop", sizeBytes: 1_073_741_824, count: 1 }],
  ])("%s", (spec, parsed) => expect(parseDiskSpec(spec)).toEqual(parsed));
});

describe("what it refuses, with USAGE and the reason", () => {
  test.each([
    ["loop", "loop,SIZE,COUNT"],
    ["loop,4G", "loop,SIZE,COUNT"],
    ["loop,4G,3,", "loop,SIZE,COUNT"],
    ["loop,-4G,3", "loop,SIZE,COUNT"],
    ["loop,4K,3", "loop,SIZE,COUNT"],
    ["loop,4g,3", "loop,SIZE,COUNT"],
    ["loop,4.5G,3", "loop,SIZE,COUNT"],
    ["loop,511M,3", "no size"],
    ["loop,65T,1", "no size"],
    ["loop,99999999999999999999T,1", "no size"],
    ["loop,4G,0", "no count"],
    ["loop,4G,101", "no count"],
    ["vdb", "absolute path"],
    ["", "absolute path"],
    ["/", "absolute path"],
    ["/dev/\u001b[2Jvdb", "absolute path"],
    [`/${"x".repeat(2000)}`, "absolute path"],
  ])("%j", (spec, reason) => {
    expect(() => parseDiskSpec(spec)).toThrow(expect.objectContaining({ code: "USAGE" }));
    expect(() => parseDiskSpec(spec)).toThrow(reason);
  });

  test.each([
    ["nothing", [], "no disk"],
    ["a loop spec with company", ["loop,4G,3", "/dev/vdb"], "stands alone"],
    ["the same disk twice", ["/dev/vdb", "/dev/vdb"], "twice"],
  ])("%s", (_name, specs, reason) => expect(() => parseDiskSpecs(specs)).toThrow(reason));
});
