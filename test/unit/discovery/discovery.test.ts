import type { NetworkInterfaceInfo } from "node:os";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Message } from "../../../src/discovery/core/message.ts";
import { Discovery } from "../../../src/discovery/discovery.ts";
import type { InterfaceLink, NetworkInterfaces } from "../../../src/discovery/interfaces.ts";
import type { OpenLink } from "../../../src/discovery/link-pool.ts";
import type { LinkCounters, LinkTransport } from "../../../src/discovery/link-socket.ts";
import type { Sighting } from "../../../src/discovery/service.ts";
import { announcement, fullSet, message, records } from "./simulated-lan.ts";

type Hooks = Parameters<OpenLink>[1];

const noPackets: LinkCounters = {
  received: 0,
  sent: 0,
  sendErrors: 0,
  own: 0,
  foreign: 0,
  limited: 0,
  malformed: 0,
};

/** A link without a network: keeps what is sent. */
class FakeLink implements LinkTransport {
  readonly counters = noPackets;
  readonly ready = Promise.resolve();
  readonly sent: Message[] = [];
  readonly link: InterfaceLink;
  readonly hooks: Hooks;
  isClosed = false;

  constructor(link: InterfaceLink, hooks: Hooks) {
    this.link = link;
    this.hooks = hooks;
  }

  send(given: Message): void {
    this.sent.push(given);
  }

  update(): void {}

  flushed(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }

  hear(answers: Message["answers"]): void {
    this.hooks.onMessage(message({ answers }), { address: "10.0.0.9", port: 5353 });
  }
}

function v4(address: string): NetworkInterfaceInfo {
  return { address, netmask: "", family: "IPv4", mac: "02::01", internal: false, cidr: `${address}/24` };
}

function failure(code: string): Error {
  return Object.assign(new Error(`it failed: ${code}`), { code });
}

let interfaces: Record<string, NetworkInterfaceInfo[]>;
let opened: FakeLink[];
let refuse: string | null;
let discovery: Discovery;

function make(options: ConstructorParameters<typeof Discovery>[0] = {}): Discovery {
  return new Discovery(options, {
    log: pino({ level: "silent" }),
    now: () => Date.now(),
    random: () => 0,
    readInterfaces: (): NetworkInterfaces => interfaces,
    openLink: (link, hooks) => {
      if (refuse === link.interface) throw failure("EMFILE");
      const made = new FakeLink(link, hooks);
      opened.push(made);
      return made;
    },
  });
}

function link(name: string): FakeLink {
  const found = opened.findLast((one) => one.link.interface === name);
  if (found === undefined) throw new Error(`${name} is not open`);
  return found;
}

const isGoodbye = ({ answers }: Message): boolean =>
  answers.length > 0 && answers.every(({ ttl }) => ttl === 0);
const announces = ({ kind, answers }: Message): boolean =>
  kind === "response" && answers.some(({ ttl }) => ttl > 0);

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  interfaces = { eth0: [v4("10.0.0.1")], eth1: [v4("10.1.0.1")] };
  opened = [];
  refuse = null;
  discovery = make();
});

afterEach(async () => {
  await discovery.stop();
  vi.useRealTimers();
});

describe("the service", () => {
  it("announces what it was given before or after the start, on every interface", async () => {
    discovery.announce(announcement("n1"));
    await discovery.start();
    await vi.advanceTimersByTimeAsync(3_000);
    expect(opened.map((one) => [one.link.id, one.sent.filter(announces).length])).toEqual([
      ["eth0/IPv4", 2],
      ["eth1/IPv4", 2],
    ]);
    const late = make();
    await late.start();
    late.announce(announcement("n2"));
    await vi.advanceTimersByTimeAsync(3_000);
    expect(link("eth0").sent.filter(announces)).toHaveLength(2);
    await late.stop();
  });

  it("says goodbye on every interface, closes all and leaves no timer", async () => {
    discovery.announce(announcement("n1"));
    await discovery.start();
    await vi.advanceTimersByTimeAsync(3_000);
    await discovery.stop();
    expect(opened.map((one) => [one.isClosed, one.sent.filter(isGoodbye).length])).toEqual([
      [true, 1],
      [true, 1],
    ]);
    expect(vi.getTimerCount()).toBe(0);
    await discovery.stop();
  });

  it("works again after a stop", async () => {
    discovery.announce(announcement("n1"));
    await discovery.start();
    await discovery.stop();
    await discovery.start();
    await vi.advanceTimersByTimeAsync(3_000);
    expect(link("eth0").sent.filter(announces)).toHaveLength(2);
  });

  it("only browses if told so", async () => {
    discovery = make({ browseOnly: true });
    await discovery.start();
    await vi.advanceTimersByTimeAsync(3_000);
    expect(() => discovery.announce(announcement("n1"))).toThrow("only browses");
    expect(
      link("eth0").sent.every(({ kind, authorities }) => kind === "query" && authorities.length === 0),
    ).toBe(true);
  });

  it("browses the service type it is given", async () => {
    discovery = make({ serviceType: "_other._tcp" });
    await discovery.start();
    await vi.advanceTimersByTimeAsync(100);
    expect(link("eth0").sent[0]?.questions).toEqual([{ name: "_other._tcp.local", type: "PTR" }]);
  });

  it("tells of instances seen, changed and lost until the subscription ends; a failing listener harms none", async () => {
    const told: string[] = [];
    const tell =
      (event: string) =>
      (sighting: Sighting): void =>
        void told.push(`${event} ${sighting.instance}`);
    discovery.on("seen", () => {
      throw new Error("a bad listener");
    });
    discovery.on("seen", tell("seen"));
    const end = discovery.on("changed", tell("changed"));
    discovery.on("lost", tell("lost"));
    await discovery.start();
    const eth0 = link("eth0");
    eth0.hear(fullSet("n2", "n2", "10.0.0.2"));
    expect(discovery.sightings()).toEqual([
      {
        instance: "n2",
        host: "n2",
        port: 7000,
        addresses: ["10.0.0.2"],
        interfaces: ["eth0"],
        txt: { st: "fresh" },
        firstSeen: 1_000_000,
        lastSeen: 1_000_000,
      },
    ]);
    eth0.hear([records.text("n2", ["st=member"])]);
    end();
    eth0.hear([records.text("n2", ["st=removed"])]);
    eth0.hear([records.pointer("n2", 0)]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(told).toEqual(["seen n2", "changed n2", "lost n2"]);
  });

  it("asks again for an instance in doubt", async () => {
    await discovery.start();
    link("eth0").hear(fullSet("n2", "n2", "10.0.0.2"));
    await vi.advanceTimersByTimeAsync(5_000);
    discovery.reconfirm("n2");
    await vi.advanceTimersByTimeAsync(10_000);
    expect(discovery.sightings()).toEqual([]);
  });
});

describe("interfaces", () => {
  beforeEach(async () => {
    discovery.announce(announcement("n1"));
    await discovery.start();
    await vi.advanceTimersByTimeAsync(10_000);
  });

  it("that come are announced on within a watch, those that go are closed", async () => {
    interfaces = { eth1: interfaces.eth1 ?? [], eth2: [v4("10.2.0.1")] };
    const eth0 = link("eth0");
    await vi.advanceTimersByTimeAsync(4_000);
    expect(eth0.isClosed).toBe(true);
    expect(link("eth2").sent.some(announces)).toBe(true);
    expect(discovery.report().interfaces.map((one) => one.link)).toEqual(["eth1/IPv4", "eth2/IPv4"]);
  });

  it("with another address get a new socket and announce it", async () => {
    const old = link("eth0");
    interfaces = { ...interfaces, eth0: [v4("10.0.0.7")] };
    await vi.advanceTimersByTimeAsync(4_000);
    const made = link("eth0");
    expect([old.isClosed, made === old]).toEqual([true, false]);
    const said = made.sent.filter(announces).flatMap(({ answers }) => answers);
    expect(said.filter(({ type }) => type === "A").map(({ data }) => data)).toContain("10.0.0.7");
  });

  it("with one more address keep their socket and announce both", async () => {
    const old = link("eth0");
    old.sent.length = 0;
    interfaces = { ...interfaces, eth0: [v4("10.0.0.1"), v4("10.0.0.8")] };
    await vi.advanceTimersByTimeAsync(4_000);
    expect(link("eth0")).toBe(old);
    const said = old.sent.filter(announces)[0]?.answers;
    expect(said?.map(({ data }) => data)).toEqual(["10.0.0.1", "10.0.0.8"]);
  });

  it.each(["EADDRINUSE", "ENODEV"])(
    "that fail with %s leave the others alone, are reported and tried again",
    async (code) => {
      const old = link("eth0");
      old.hooks.onFailed(failure(code));
      const state = (): unknown =>
        discovery.report().interfaces.map(({ link: id, state, error }) => [id, state, error]);
      expect(state()).toEqual([
        ["eth0/IPv4", "failed", code],
        ["eth1/IPv4", "up", null],
      ]);
      expect([old.isClosed, link("eth1").isClosed]).toEqual([true, false]);
      await vi.advanceTimersByTimeAsync(6_000);
      expect(link("eth0")).not.toBe(old);
      expect(link("eth0").sent.some(announces)).toBe(true);
      expect(state()).toEqual([
        ["eth0/IPv4", "up", null],
        ["eth1/IPv4", "up", null],
      ]);
    },
  );

  it("that could not send announce again, ever more rarely while it lasts", async () => {
    const eth0 = link("eth0");
    eth0.sent.length = 0;
    eth0.send = (given) => {
      eth0.sent.push(given);
      eth0.hooks.onSendError(failure("ENETUNREACH"));
    };
    eth0.hooks.onSendError(failure("ENETUNREACH"));
    const probes = (): number => eth0.sent.filter(({ authorities }) => authorities.length > 0).length / 3;
    await vi.advanceTimersByTimeAsync(600_000);
    expect(link("eth0")).toBe(eth0);
    expect(probes()).toBeGreaterThan(5);
    expect(probes()).toBeLessThan(20);
    expect(discovery.report().interfaces[0]?.error).toBe("ENETUNREACH");
    eth0.send = (given) => void eth0.sent.push(given);
    eth0.sent.length = 0;
    await vi.advanceTimersByTimeAsync(65_000);
    expect(eth0.sent.some(announces)).toBe(true);
    expect(discovery.report().interfaces[0]?.error).toBeNull();
  });

  it("for which the system gives no socket are tried again", async () => {
    refuse = "eth2";
    interfaces = { ...interfaces, eth2: [v4("10.2.0.1")] };
    await vi.advanceTimersByTimeAsync(2_000);
    expect(discovery.report().interfaces[2]).toMatchObject({
      link: "eth2/IPv4",
      state: "failed",
      error: "EMFILE",
    });
    refuse = null;
    await vi.advanceTimersByTimeAsync(6_000);
    expect(link("eth2").sent.some(announces)).toBe(true);
  });
});
