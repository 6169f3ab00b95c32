import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ClusterRuntime } from "../../../src/daemon/cluster/cluster-runtime.ts";
import {
  issueToken,
  listTokens,
  lobbiesIn,
  readToken,
  revokeToken,
  writeToken,
} from "../../../src/daemon/join-tokens.ts";
import { honourToken, tokenVerdicts } from "../../../src/daemon/token-use.ts";
import type { PeerId } from "../../../src/ids/ids.ts";
import { cluster, facts, merge, peer, type TestNode, TestNodes } from "../state/document/fixture.ts";

const start = Date.parse("2026-11-23T12:00:00.000Z");
let now = start;
let nodes: TestNodes;
let one: TestNode;
let two: TestNode;

/** Of a member what its tokens need. */
function runtime({ self, document }: TestNode): ClusterRuntime {
  const members = new Map<PeerId, object>([
    [one.self, { handle: "n1", name: "n1" }],
    [two.self, { handle: "n2", name: "n2" }],
  ]);
  return {
    ...{ self, document, options: { cluster: { id: cluster } } },
    journal: { members: () => members },
    presence: { stateOf: () => "alive" },
    wake: () => undefined,
  } as unknown as ClusterRuntime;
}

beforeEach(() => {
  now = start;
  nodes = new TestNodes();
  one = nodes.add({ now: () => now });
  two = nodes.add({ now: () => now });
  one.document.setFacts(facts("n1"));
  merge(one, two);
});
afterEach(() => nodes.remove());

const make = (name = "n3") => issueToken(runtime(one), { name, seconds: 600, now });
const secretOf = (token: string): string => readToken(token).secret;
const mayJoin = (node: TestNode): PeerId[] => [...tokenVerdicts(node.document, now, () => false).keys()];

describe("join tokens", () => {
  it("say where to knock and for whom they are; the document has no secret", () => {
    const { token, expiresAt } = make();
    const content = readToken(` ${token}\n`);
    expect(content).toMatchObject({ v: 1, cluster, name: "n3", at: ["10.77.0.11:7000"] });
    expect(lobbiesIn(content, 7443)).toEqual([{ address: "10.77.0.11", port: 7000 }]);
    expect(expiresAt).toBe("2026-11-23T12:10:00.000Z");
    const kept = JSON.stringify(one.document.view());
    expect(kept).not.toContain(content.secret);
    expect(kept).not.toContain(token);
    expect(listTokens(one.document)).toEqual([{ name: "n3", expiresAt, usedBy: null }]);
  });

  it("let the first node in that shows them, at any member, and no other", () => {
    const { token } = make();
    merge(one, two);
    expect(honourToken(runtime(two), peer(7), secretOf(token), now)).toBe(true);
    expect(honourToken(runtime(two), peer(7), secretOf(token), now)).toBe(true);
    expect(honourToken(runtime(two), peer(8), secretOf(token), now)).toBe(false);
    merge(one, two);
    expect(honourToken(runtime(one), peer(8), secretOf(token), now)).toBe(false);
    expect(mayJoin(one)).toEqual([peer(7)]);
    expect(one.document.view().labels[peer(7)]?.name).toBe("n3");
    expect(() => revokeToken(runtime(one), "n3", now)).toThrow(/no token for n3/);
  });

  it("let one node in when two show one at the same moment, the same on every member", () => {
    const { token } = make();
    merge(one, two);
    expect(honourToken(runtime(one), peer(9), secretOf(token), now)).toBe(true);
    now += 1;
    expect(honourToken(runtime(two), peer(8), secretOf(token), now)).toBe(true);
    merge(one, two);
    expect([mayJoin(one), mayJoin(two)]).toEqual([[peer(9)], [peer(9)]]);
    // Where the later one was let in before the two members heard of each other, it stays the only one.
    expect([...tokenVerdicts(one.document, now, (who) => who === peer(8)).keys()]).toEqual([peer(8)]);
    expect(honourToken(runtime(one), peer(9), secretOf(token), now)).toBe(true);
    expect(honourToken(runtime(one), peer(7), secretOf(token), now)).toBe(false);
  });

  it("are worth nothing when they are over, revoked, of another secret, or unknown", () => {
    const late = secretOf(make("late").token);
    const gone = secretOf(make("gone").token);
    revokeToken(runtime(one), "gone", now);
    expect(honourToken(runtime(one), peer(7), gone, now)).toBe(false);
    expect(honourToken(runtime(one), peer(7), `${late.slice(0, -1)}_`, now)).toBe(false);
    now += 600_000;
    expect(honourToken(runtime(one), peer(7), late, now)).toBe(false);
    expect(mayJoin(one)).toEqual([]);
  });

  it("lapse a day after a use that led to nothing, and are forgotten a month after their end", () => {
    const { token } = make();
    honourToken(runtime(one), peer(7), secretOf(token), now);
    now += 24 * 3_600_000;
    expect(mayJoin(one)).toEqual([]);
    expect(listTokens(one.document)).toHaveLength(1);
    now += 31 * 24 * 3_600_000;
    make("n4");
    expect(listTokens(one.document).map(({ name }) => name)).toEqual(["n4"]);
  });

  it("are one for each name, and none for a member's", () => {
    make();
    expect(() => make()).toThrow(/a token for n3 already/);
    expect(() => make("n1")).toThrow(/a member is called n1 already/);
    now += 600_000;
    expect(make().name).toBe("n3");
  });

  it.each(["", "x", "{}", Buffer.from("{}").toString("base64url"), "A".repeat(5000)])(
    'cannot be read from "%s"',
    (text) => {
      expect(() => readToken(text)).toThrow(/no token/);
    },
  );

  it("cannot be read from a part of one", () => {
    const token = writeToken({ v: 1, cluster, name: "a", at: ["10.0.0.1:1"], secret: "s".repeat(32) });
    expect(readToken(token).name).toBe("a");
    expect(() => readToken(token.slice(0, -6))).toThrow(/only a part/);
  });
});
