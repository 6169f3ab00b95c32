import { beforeEach, describe, expect, it } from "vitest";
import type { Daemon } from "../../../src/daemon/daemon.ts";
import type { JobTools } from "../../../src/daemon/jobs.ts";
import { writeToken } from "../../../src/daemon/join-tokens.ts";
import type { StaticPeer } from "../../../src/daemon/static-peers.ts";
import { joinByToken } from "../../../src/daemon/token-join.ts";
import type { Json } from "../../../src/ids/json.ts";
import { cluster } from "../state/document/fixture.ts";

const member = { address: "10.77.0.11", port: 7000 };
const another = { address: "10.77.0.12", port: 7000 };
const at = [member, another].map(({ address, port }) => `${address}:${port}`);
const secret = Buffer.alloc(32, 7).toString("base64url");
const token = writeToken({ v: 1, cluster, name: "n3", secret, at });

let peers: StaticPeer[];
let wish: string | null;
let state: string;
let answer: () => "honoured" | "refused" | "unreachable";
let now: number;
let memory: Json;

const daemon = (): Daemon =>
  ({
    settled: async () => undefined,
    settings: { lobbyPort: 7443 },
    staticPeers: {
      list: () => peers,
      add: (peer: StaticPeer) => void peers.push(peer),
      remove: ({ address }: StaticPeer) => {
        peers = peers.filter((peer) => peer.address !== address);
      },
    },
    membership: {
      get lifecycle() {
        return { state };
      },
      refreshStaticPeers: () => undefined,
      join: (id: string) => {
        wish = id;
      },
      joinAny: () => {
        wish = null;
      },
      showToken: async () => {
        const outcome = answer();
        if (outcome === "honoured") state = "member";
        return outcome;
      },
    },
    cluster: { options: { cluster: { id: cluster } } },
    steadyNow: () => now,
    events: {
      next: async () => {
        now += 1_000;
      },
    },
  }) as unknown as Daemon;

function tools(): JobTools {
  return {
    signal: new AbortController().signal,
    memory,
    remember: (kept) => {
      memory = kept;
    },
    report: () => undefined,
  };
}

beforeEach(() => {
  peers = [another];
  wish = null;
  state = "fresh";
  answer = () => "honoured";
  now = 0;
  memory = null;
});

describe("a node that joins by a token", () => {
  it("looks for the members that the token names until it is one, and keeps what an operator has added", async () => {
    let looked: StaticPeer[] = [];
    answer = () => {
      looked = [...peers];
      return "honoured";
    };
    expect(await joinByToken(daemon(), { token }, tools())).toEqual({ cluster, name: "n3" });
    expect(looked).toEqual([another, member]);
    expect([peers, wish]).toEqual([[another], cluster]);
  });

  it("is as before when its token is refused", async () => {
    answer = () => "refused";
    await expect(joinByToken(daemon(), { token }, tools())).rejects.toMatchObject({ code: "TOKEN_REFUSED" });
    expect([peers, wish]).toEqual([[another], null]);
  });

  it("takes away after a crash what it had added before", async () => {
    peers = [another, member];
    memory = { added: [member] };
    await joinByToken(daemon(), { token }, tools());
    expect(peers).toEqual([another]);
  });
});
