import type { RemoteInfo, Socket } from "node:dgram";
import { EventEmitter, once } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Message } from "../../../src/discovery/core/message.ts";
import type { gatedSocket } from "../../../src/discovery/gated-socket.ts";
import type { InterfaceLink } from "../../../src/discovery/interfaces.ts";
import { LinkSocket } from "../../../src/discovery/link-socket.ts";
import { OwnPackets } from "../../../src/discovery/packet-gate.ts";
import { fullSet, message, serviceName } from "./simulated-lan.ts";

type Hooks = Parameters<typeof gatedSocket>[1];

/** As much of a socket as multicast-dns uses, without a network. */
class FakeSocket extends EventEmitter {
  readonly sent: { readonly bytes: Buffer; readonly port: number; readonly address: string }[] = [];
  readonly calls: string[] = [];
  bindError: Error | null = null;
  joinError: Error | null = null;
  sendError: Error | null = null;
  readonly hooks: Hooks;

  constructor(hooks: Hooks) {
    super();
    this.hooks = hooks;
  }

  bind(port: number, address: string, done: () => void): void {
    this.calls.push(`bind ${address} ${port}`);
    queueMicrotask(() => {
      if (this.bindError !== null) {
        this.emit("error", this.bindError);
        return;
      }
      this.emit("listening");
      done();
    });
  }

  addMembership(group: string, on: string): void {
    if (this.joinError !== null) throw this.joinError;
    this.calls.push(`join ${group} ${on}`);
  }

  setMulticastInterface(on: string): void {
    this.calls.push(`out ${on}`);
  }

  dropMembership(): void {}
  setMulticastTTL(hops: number): void {
    this.calls.push(`hops ${hops}`);
  }
  setMulticastLoopback(): void {}
  address(): unknown {
    return {};
  }

  send(
    bytes: Buffer,
    _offset: number,
    _length: number,
    port: number,
    address: string,
    done: (error: Error | null) => void,
  ): void {
    this.hooks.sending(bytes);
    this.sent.push({ bytes, port, address });
    done(this.sendError);
    this.emit("sent");
  }

  close(done: () => void): void {
    this.calls.push("close");
    done();
  }

  /** A packet arrives from the network. */
  arrive(bytes: Buffer, address: string, port = 5353): void {
    const from: RemoteInfo = { address, port, family: "IPv4", size: bytes.length };
    if (this.hooks.admit(bytes, from)) this.emit("message", bytes, from);
  }
}

const link: InterfaceLink = {
  id: "eth0/IPv4",
  interface: "eth0",
  family: 4,
  addresses: ["10.0.0.1"],
  own: [{ family: 4, address: "10.0.0.1", prefix: 24 }],
  socketKey: "",
};
const link6: InterfaceLink = { ...link, family: 6, own: [{ family: 6, address: "fe80::1", prefix: 64 }] };
const announcement = message({ answers: fullSet("n2", "n2", "10.0.0.2") });
const query = message({ kind: "query", questions: [{ name: serviceName, type: "PTR" }] });

let socket: FakeSocket;
let made: LinkSocket;
let messages: Message[];
let failures: string[];
let sendErrors: string[];
let now: number;

function make(on = link, prepare: (fresh: FakeSocket) => void = () => {}): LinkSocket {
  messages = [];
  failures = [];
  sendErrors = [];
  now = 10_000;
  made = new LinkSocket(on, {
    now: () => now,
    own: new OwnPackets(),
    onMessage: (one) => void messages.push(one),
    onFailed: (error) => void failures.push(error.message),
    onSendError: (error) => void sendErrors.push(error.message),
    makeSocket: (_family, hooks) => {
      socket = new FakeSocket(hooks);
      prepare(socket);
      return socket as unknown as Socket;
    },
  });
  return made;
}

async function bytesOf(given: Message): Promise<Buffer> {
  const sent = once(socket, "sent");
  made.send(given);
  await sent;
  return socket.sent.pop()?.bytes ?? Buffer.alloc(0);
}

function failure(code: string, syscall: string): Error {
  return Object.assign(new Error(`${syscall} ${code}`), { code, syscall });
}

afterEach(() => made.close());

describe("a socket of a link", () => {
  it.each<[string, InterfaceLink, string[]]>([
    ["IPv4", link, ["bind 0.0.0.0 5353", "join 224.0.0.251 10.0.0.1", "out 10.0.0.1", "hops 255"]],
    ["IPv6", link6, ["bind :: 5353", "join ff02::fb ::%eth0", "out ::%eth0", "hops 255"]],
  ])("joins the group on its interface only (%s)", async (_family, on, calls) => {
    await make(on).ready;
    expect(socket.calls).toEqual(calls);
    made.send(query);
    await once(socket, "sent");
    expect(socket.sent[0]).toMatchObject({
      port: 5353,
      address: on.family === 4 ? "224.0.0.251" : "ff02::fb",
    });
  });

  it("sends a reply to where it is told", async () => {
    await make().ready;
    made.send(message({ id: 9 }), { address: "10.0.0.7", port: 40_000 });
    await once(socket, "sent");
    expect(socket.sent[0]).toMatchObject({ port: 40_000, address: "10.0.0.7" });
  });

  it.each<[string, (fresh: FakeSocket) => void]>([
    ["bind EADDRINUSE", (fresh) => (fresh.bindError = failure("EADDRINUSE", "bind"))],
    ["bind ENODEV", (fresh) => (fresh.bindError = failure("ENODEV", "bind"))],
    // The library would go on and send over the default route.
    ["addMembership ENODEV", (fresh) => (fresh.joinError = failure("ENODEV", "addMembership"))],
  ])("fails with %s", async (text, prepare) => {
    await make(link, prepare).ready;
    expect(new Set(failures)).toEqual(new Set([text]));
  });

  it("fails when the system gives an error while it runs", async () => {
    await make().ready;
    socket.emit("error", failure("ENETDOWN", "recvmsg"));
    expect(failures).toEqual(["recvmsg ENETDOWN"]);
    expect(made.counters.malformed).toBe(0);
  });

  it("reports what could not be sent, and is otherwise well", async () => {
    await make().ready;
    socket.sendError = failure("ENETUNREACH", "send");
    made.send(query);
    await made.flushed();
    expect([sendErrors, failures]).toEqual([["send ENETUNREACH"], []]);
    expect(made.counters).toMatchObject({ sent: 0, sendErrors: 1 });
  });

  it("is silent and deaf once closed", async () => {
    await make().ready;
    const bytes = await bytesOf(announcement);
    await made.close();
    made.send(query);
    socket.arrive(bytes, "10.0.0.2");
    socket.emit("error", failure("ENETDOWN", "recvmsg"));
    expect([socket.sent, messages, failures]).toEqual([[], [], []]);
    expect(socket.calls.filter((call) => call === "close")).toHaveLength(1);
  });
});

describe("what arrives", () => {
  let response: Buffer;
  let question: Buffer;

  beforeEach(async () => {
    await make().ready;
    [response, question] = [await bytesOf(announcement), await bytesOf(query)];
    // Both were sent by us for their bytes alone.
    now += 10_000;
  });

  function withOpcode(given: Buffer): Buffer {
    const bytes = Buffer.from(given);
    bytes.writeUInt16BE(bytes.readUInt16BE(2) | (5 << 11), 2);
    return bytes;
  }

  it.each<[string, () => void, string, number]>([
    ["from a host of the link", () => socket.arrive(response, "10.0.0.2"), "received", 1],
    ["from another subnet: another interface's", () => socket.arrive(response, "10.1.0.2"), "foreign", 0],
    ["as a response from another port", () => socket.arrive(response, "10.0.0.2", 40_000), "foreign", 0],
    ["as a question of a simple resolver", () => socket.arrive(question, "10.0.0.2", 40_000), "received", 1],
    ["with an impossible header", () => socket.arrive(Buffer.alloc(12, 0x7f), "10.0.0.2"), "malformed", 0],
    [
      "with another opcode than a query's",
      () => socket.arrive(withOpcode(response), "10.0.0.2"),
      "malformed",
      0,
    ],
    ["cut short", () => socket.arrive(response.subarray(0, 100), "10.0.0.2"), "malformed", 0],
  ])("%s", (_what, arrive, counter, understood) => {
    arrive();
    expect(messages).toHaveLength(understood);
    expect(made.counters).toMatchObject({ [counter]: 1 });
  });

  it("as our own packet is not looked at", async () => {
    const bytes = await bytesOf(announcement);
    socket.arrive(bytes, "10.0.0.1");
    expect(messages).toEqual([]);
    expect(made.counters.own).toBe(1);
    // The same bytes of an avahi-daemon on this host.
    socket.arrive(bytes, "10.0.0.1");
    expect(messages).toHaveLength(1);
  });

  it("faster than the limit is dropped until the next second", () => {
    for (let n = 0; n < 150; n++) socket.arrive(response, "10.0.0.2");
    expect(messages).toHaveLength(100);
    expect(made.counters.limited).toBe(50);
    now += 1_000;
    socket.arrive(response, "10.0.0.2");
    expect(messages).toHaveLength(101);
  });

  it("counts by the addresses the link has now", () => {
    made.update({ ...link, own: [{ family: 4, address: "10.1.0.1", prefix: 24 }] });
    socket.arrive(response, "10.0.0.2");
    socket.arrive(response, "10.1.0.2");
    expect(made.counters).toMatchObject({ foreign: 1, received: 1 });
  });
});
