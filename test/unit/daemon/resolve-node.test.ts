import { describe, expect, it } from "vitest";
import { resolveNode } from "../../../src/daemon/resolve-node.ts";
import type { PeerId } from "../../../src/ids/ids.ts";

const nodes = [
  { id: "12D3KooWAbcdefXX" as PeerId, name: "n1", handle: "n1" },
  { id: "12D3KooWAbcdefYY" as PeerId, name: "n2", handle: "n2" },
  { id: "12D3KooWZzzzzzZZ" as PeerId, name: "n2", handle: "n2-2" },
];

describe("resolveNode", () => {
  it.each([
    ["n1", 0],
    ["n2-2", 2],
    ["12D3KooWAbcdefYY", 1],
    ["Zzzzzz", 2],
    ["12D3KooWZzzzzz", 2],
    ["AbcdefX", 0],
  ])("%s", (text, index) => {
    expect(resolveNode(text, nodes)).toBe(nodes[index]);
  });

  it.each([
    ["n9", "NOT_FOUND"],
    ["Zzzzz", "NOT_FOUND"],
    ["12D3KooW", "NOT_FOUND"],
    ["n2", "AMBIGUOUS_NODE"],
    ["Abcdef", "AMBIGUOUS_NODE"],
  ])("refuses %s with %s", (text, code) => {
    expect(() => resolveNode(text, nodes)).toThrow(expect.objectContaining({ code }));
  });

  it("gives the name of a node that was installed anew to it, and to its former self among the dead", () => {
    const both = [
      { id: "12D3KooWAbcdefXX" as PeerId, name: "n3", handle: "n3", alive: false },
      { id: "12D3KooWZzzzzzZZ" as PeerId, name: "n3", handle: "n3-2", alive: true },
    ];
    expect(resolveNode("n3", both)).toBe(both[1]);
    expect(resolveNode("n3", both, "dead")).toBe(both[0]);
    const alive = both.map((node) => ({ ...node, alive: true }));
    expect(() => resolveNode("n3", alive)).toThrow(expect.objectContaining({ code: "AMBIGUOUS_NODE" }));
  });

  it("names the candidates", () => {
    expect(() => resolveNode("Abcdef", nodes)).toThrow(/n1 12D3KooWAbcdefXX, n2 12D3KooWAbcdefYY/);
  });
});
