import { describe, expect, test } from "vitest";
import { isMicrocephError } from "../../../../src/errors/microceph-error.ts";
import { handle } from "../../../../src/ids/ids.ts";
import {
  checkSocketPath,
  etcdArguments,
  handleOfPeerUrl,
  parseVersion,
  peerUrlOf,
} from "../../../../src/state/etcd/etcd-arguments.ts";
import { exitCauseOf } from "../../../../src/state/etcd/exit-cause.ts";
import {
  decodeError,
  decodeGrant,
  decodeMemberAdd,
  decodeMembers,
  decodeRange,
  decodeStatus,
  decodeTransaction,
  decodeWatchLine,
  encodeRange,
  encodeTransaction,
} from "../../../../src/state/etcd/gateway-codec.ts";
import { gatewayError } from "../../../../src/state/etcd/gateway-errors.ts";
import { readLines } from "../../../../src/state/etcd/read-lines.ts";

const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("the gateway's JSON", () => {
  test("requests: base64, numbers as text, the end of a prefix", () => {
    expect(encodeRange("/a/", { prefix: true, from: "/a/5", limit: 2, serializable: true })).toEqual({
      key: base64("/a/5"),
      range_end: base64("/a0"),
      limit: "2",
      serializable: true,
    });
    const transaction = {
      compare: [{ key: "k", target: "create", result: "equal", revision: 7 }],
      success: [
        { do: "put", key: "k", value: "v", lease: "9" },
        { do: "delete", key: "d" },
      ],
      failure: [{ do: "range", key: "k" }],
    } as const;
    expect(encodeTransaction(transaction)).toEqual({
      compare: [{ key: base64("k"), target: "CREATE", result: "EQUAL", create_revision: "7" }],
      success: [
        { request_put: { key: base64("k"), value: base64("v"), lease: "9" } },
        { request_delete_range: { key: base64("d") } },
      ],
      failure: [{ request_range: { key: base64("k") } }],
    });
  });

  test("replies: what is left out is the default", () => {
    expect(decodeRange({ header: { revision: "5" } })).toEqual({ kvs: [], revision: 5 });
    expect(decodeTransaction({ header: { revision: "5" }, responses: [{ response_put: {} }] })).toEqual({
      succeeded: false,
      revision: 5,
      responses: [{ kvs: [] }],
    });
    const members = [{ ID: "18222247490723644657", peerURLs: ["unix://n1:0"] }];
    expect(decodeMembers({ header: {}, members })).toEqual([
      { id: "18222247490723644657", name: "", peerUrls: ["unix://n1:0"], learner: false },
    ]);
  });

  test("a watch's lines: creation, events, the end with its reason", () => {
    const kv = { key: base64("k"), mod_revision: "3" };
    expect(decodeWatchLine({ result: { created: true } })).toEqual({ events: [], canceled: null });
    expect(decodeWatchLine({ result: { events: [{ kv }, { type: "DELETE", kv }] } }).events).toEqual([
      { type: "put", kv: { key: "k", value: "", createRevision: 0, modRevision: 3, lease: "0" } },
      { type: "delete", kv: { key: "k", value: "", createRevision: 0, modRevision: 3, lease: "0" } },
    ]);
    const canceled = { result: { canceled: true, compact_revision: "8", cancel_reason: "compacted" } };
    expect(decodeWatchLine(canceled).canceled).toEqual({ compactRevision: 8, reason: "compacted" });
    expect(decodeError({ error: "etcdserver: no leader", code: 14 })).toBe("etcdserver: no leader");
    expect(decodeError({ error: { message: "gone" } })).toBe("gone");
    expect(decodeError({ result: {} })).toBe(undefined);
  });

  test("errors as Debian 13's etcd tells them, and what is neither error nor answer", () => {
    const error = { code: 5, message: "etcdserver: requested lease not found" };
    expect(decodeError(error)).toBe(error.message);
    for (const reply of [error, {}, { header: {} }]) {
      expect(() => decodeMembers(reply)).toThrow();
      expect(() => decodeGrant(reply)).toThrow();
      expect(() => decodeMemberAdd(reply)).toThrow();
    }
    for (const reply of [error, {}]) {
      expect(() => decodeRange(reply)).toThrow();
      expect(() => decodeTransaction(reply)).toThrow();
      expect(() => decodeStatus(reply)).toThrow();
    }
    expect(() => decodeGrant({ header: {}, ID: "0" })).toThrow();
    expect(decodeGrant({ header: {}, ID: "7" })).toEqual({ id: "7" });
  });

  test.for([
    { header: { revision: "9007199254740993" } },
    { header: { revision: "-1" } },
    { kvs: [{ key: 5 }] },
    "text",
  ])("refuses %o", (reply) => {
    expect(() => decodeRange(reply)).toThrow();
  });

  // The words are those of etcd 3.4 and 3.5 (api/v3rpc/rpctypes/error.go).
  test.for([
    ["etcdserver: request timed out", "NO_QUORUM"],
    ["etcdserver: request timed out, possibly due to previous leader failure", "NO_QUORUM"],
    ["etcdserver: request timed out, possibly due to connection lost", "NO_QUORUM"],
    ["etcdserver: leader changed", "NO_QUORUM"],
    ["etcdserver: no leader", "NO_QUORUM"],
    ["etcdserver: server stopped", "NO_QUORUM"],
    ["etcdserver: too many requests", "NO_QUORUM"],
    ["context deadline exceeded", "NO_QUORUM"],
    ["etcdserver: unhealthy cluster", "NOT_READY"],
    ["etcdserver: too many learner members in cluster", "NOT_READY"],
    ["etcdserver: can only promote a learner member which is in sync with leader", "NOT_READY"],
    ["etcdserver: re-configuration failed due to not enough started members", "NOT_READY"],
    ["etcdserver: rpc not supported for learner", "NOT_READY"],
    ["etcdserver: requested lease not found", "NOT_FOUND"],
    ["etcdserver: member not found", "NOT_FOUND"],
    ["etcdserver: mvcc: database space exceeded", "DISK_FULL"],
    ["etcdserver: corrupt cluster", "STATE_CORRUPT"],
    ["etcdserver: member ID already exist", "INTERNAL"],
  ])("%s is %s", ([words = "", code]) => {
    expect(gatewayError(words, "kv/txn").code).toBe(code);
  });

  test("lines may be cut anywhere, and are bounded", async () => {
    const lines = async (parts: string[], limit = 100) => {
      const found: string[] = [];
      const stream = (async function* () {
        for (const part of parts) yield Buffer.from(part);
      })();
      for await (const line of readLines(stream, limit)) found.push(line);
      return found;
    };
    expect(await lines(["a\nb", "b\n", "\nc", "\nunfinished"])).toEqual(["a", "bb", "c"]);
    expect(await lines(["é".slice(0, 1), "é\n"])).toEqual(["éé"]);
    await expect(lines(["x".repeat(60), "y".repeat(60)])).rejects.toThrow("longer than 100");
  });
});

describe("etcd's command line", () => {
  const options = {
    name: handle("n1"),
    peers: [{ name: handle("n2") }, { name: handle("n1") }],
    mode: "existing",
    timers: { heartbeatMs: 100, electionMs: 1000 },
    token: "t",
  } as const;

  test("listens on sockets only, with pre-vote, and without the second API where there is one", () => {
    const args = etcdArguments(options, { major: 3, minor: 5, text: "3.5.16" });
    expect(args).toEqual(
      expect.arrayContaining([
        "--listen-client-urls=unix://client:1",
        "--listen-peer-urls=unix://n1:0",
        "--initial-cluster=n1=unix://n1:0,n2=unix://n2:0",
        "--initial-cluster-state=existing",
        "--pre-vote=true",
        "--enable-v2=false",
      ]),
    );
    expect(args.filter((arg) => /https?:|force/.test(arg))).toEqual([]);
    const later = etcdArguments(options, { major: 3, minor: 6, text: "3.6.1" });
    expect(later).not.toContain("--enable-v2=false");
  });

  test.for([
    ["etcd Version: 3.4.23\nGit SHA: x", 4],
    ["etcd Version: 3.5.16+deb", 5],
    ["etcd Version: 3.3.25", undefined],
    ["etcd Version: 2.3.8", undefined],
    ["something else", undefined],
  ] as const)("%j has learners: %s", ([output, minor]) => {
    if (minor !== undefined) {
      expect(parseVersion(output).minor).toBe(minor);
    } else {
      expect(() => parseVersion(output)).toThrow(/3\.4 or later is needed/);
    }
  });

  test("peer URLs and handles go both ways", () => {
    expect(handleOfPeerUrl(peerUrlOf(handle("host-2")))).toBe("host-2");
    expect(handleOfPeerUrl("http://10.0.0.1:2380")).toBe(undefined);
  });

  test("a socket path that Linux would cut is refused", () => {
    expect(checkSocketPath(`/${"x".repeat(106)}`)).toHaveLength(107);
    let thrown: unknown;
    try {
      checkSocketPath(`/${"x".repeat(107)}`);
    } catch (error) {
      thrown = error;
    }
    expect(isMicrocephError(thrown, "PATH_TOO_LONG")).toBe(true);
  });
});

describe("why etcd ended", () => {
  const fatal = (msg: string, error: string) =>
    JSON.stringify({ level: "fatal", ts: "x", caller: "c", msg, error, stacktrace: "corrupt crc mismatch" });
  const warn = (msg: string, error: string) => JSON.stringify({ level: "warn", msg, error });

  test.for([
    { log: "", cause: "crashed" },
    { log: warn("lost TCP streaming connection", "unexpected EOF"), cause: "crashed" },
    { log: warn("request cluster ID mismatch", "cluster ID mismatch"), cause: "crashed" },
    { log: fatal("failed to create snapshot directory", "no space left on device"), cause: "crashed" },
    { log: fatal("discovery failed", "listen unix n1:0: address already in use"), cause: "crashed" },
    { log: fatal("discovery failed", "member fce26d has already been bootstrapped"), cause: "data-lost" },
    { log: fatal("failed to open WAL", "wal: crc mismatch"), cause: "data-lost" },
    { log: "panic: freepages: failed to get all reachable pages (page 4)", cause: "data-lost" },
    { log: "panic: tocommit(11) is out of range [lastIndex(3)].", cause: "data-lost" },
    { log: "panic: cannot use none as id", cause: "data-lost" },
    {
      log: warn("server error", "the member has been permanently removed from the cluster"),
      cause: "removed",
    },
    { log: warn("peer said", "the member has been permanently removed from the cluster"), cause: "crashed" },
  ])("$log: $cause", ({ log, cause }) => {
    expect(exitCauseOf(`first line\n${log}\n`)).toBe(cause);
  });
});
