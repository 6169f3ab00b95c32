// Discovery between separate hosts: multicast DNS packets over veth and bridges, beside a real avahi-daemon.
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { isRootless } from "../../scripts/lab/machine.ts";
import type { ServiceAnnouncement } from "../../src/discovery/service.ts";
import {
  type Avahi,
  DiscoveryNetwork,
  discoveryObstacle,
  type LineProcess,
  type Runner,
} from "./fixtures/discovery-network.ts";

const obstacle = discoveryObstacle();
if (obstacle !== undefined && process.env.CI === "true") throw new Error(`the lab of discovery ${obstacle}`);

function announcement(
  name: string,
  txt: Record<string, string> = { txtvers: "1", st: "fresh" },
): ServiceAnnouncement {
  return { instance: `${name} abcdef`, host: name, port: 7443, txt };
}

describe.skipIf(obstacle !== undefined)(
  `discovery on a network${obstacle ? ` (skipped: ${obstacle})` : ""}`,
  () => {
    const network = new DiscoveryNetwork();
    let running: (LineProcess | undefined)[] = [];

    async function runner(node: string, start?: Parameters<typeof network.runner>[1]): Promise<Runner> {
      const made = await network.runner(node, start);
      running.push(made);
      return made;
    }

    async function renumber(node: string, from: string, to: string): Promise<void> {
      await network.ip(node, "addr", "del", from, "dev", "eth0");
      await network.ip(node, "addr", "add", to, "dev", "eth0");
    }

    beforeAll(async () => {
      await network.bridges("left", "right", "six");
      const left = (host: number) => ({
        bridge: "left",
        addresses: [`10.98.0.${host}/24`, `fd98::${host}/64`],
      });
      const right = (host: number) => ({ bridge: "right", addresses: [`10.98.1.${host}/24`] });
      await network.node("a", { eth0: left(1), eth1: right(1) });
      await network.node("b", { eth0: left(2), eth1: right(2) });
      await network.node("c", { eth0: right(3) });
      await network.node("d", { eth0: left(4) });
      for (const node of ["e", "f"])
        await network.node(node, { eth0: { bridge: "six", addresses: [] } }, true);
    });

    afterEach(async () => {
      await Promise.all(running.map((one) => one?.kill()));
      running = [];
    });

    afterAll(() => network.down());

    it("works without a default route: two hosts see each other over IPv4 and IPv6", async () => {
      for (const family of ["-4", "-6"])
        expect(await network.ip("a", family, "route", "show", "default")).toBe("");
      const a = await runner("a", { announcement: announcement("a"), interfaces: ["eth0"] });
      const b = await runner("b", { announcement: announcement("b"), interfaces: ["eth0"] });
      const began = Date.now();
      const seen = await Promise.all([
        a.sees(({ addresses }) => addresses.length === 2),
        b.sees(({ addresses }) => addresses.length === 2),
      ]);
      expect(Date.now() - began).toBeLessThan(3_000);
      expect(seen).toMatchObject([
        {
          instance: "b abcdef",
          host: "b",
          port: 7443,
          addresses: ["10.98.0.2", "fd98::2"],
          interfaces: ["eth0"],
        },
        {
          instance: "a abcdef",
          host: "a",
          port: 7443,
          addresses: ["10.98.0.1", "fd98::1"],
          txt: { st: "fresh" },
        },
      ]);
      // What was seen first may have come over one family alone.
      const { interfaces } = await a.reports(({ interfaces }) => interfaces.every((one) => one.received > 0));
      expect(interfaces.map(({ link, state, error }) => [link, state, error])).toEqual([
        ["eth0/IPv4", "up", null],
        ["eth0/IPv6", "up", null],
      ]);
      for (const one of interfaces) {
        expect(one, one.link).toMatchObject({ sendErrors: 0, malformed: 0, limited: 0 });
      }
    });

    it("tells a new TXT at once, and a goodbye on stop", async () => {
      const a = await runner("a", { announcement: announcement("a") });
      const b = await runner("b");
      await b.sees(({ instance }) => instance === "a abcdef");
      a.announce(announcement("a", { txtvers: "1", st: "member", n: "päckchen" }));
      await b.sees(({ txt }) => txt.st === "member" && txt.n === "päckchen", 3_000);
      const from = b.lines.length;
      await a.stop();
      await b.loses("a abcdef", from, 5_000);
      expect(await b.sightings()).toEqual([]);
    });

    it("notices that a killed one is gone when asked to make sure", async () => {
      const a = await runner("a", { announcement: announcement("a") });
      const b = await runner("b");
      await b.sees(({ instance }) => instance === "a abcdef");
      await a.kill("SIGKILL");
      b.reconfirm("a abcdef");
      await b.loses("a abcdef", 0, 15_000);
    });

    it("announces on each link the addresses of its interface, and merges what it sees", async () => {
      await runner("a", { announcement: announcement("a") });
      const [b, c] = [await runner("b"), await runner("c")];
      const merged = await b.sees(({ interfaces }) => interfaces.length === 2);
      expect(merged).toMatchObject({
        addresses: ["10.98.0.1", "10.98.1.1", "fd98::1", expect.stringMatching(/^fe80::.*%eth1$/)],
        interfaces: ["eth0", "eth1"],
      });
      expect(await c.sees(() => true)).toMatchObject({
        addresses: ["10.98.1.1", expect.stringMatching(/^fe80::.*%eth0$/)],
        interfaces: ["eth0"],
      });
    });

    it("takes the next name when another host has it", async () => {
      const same = { ...announcement("a"), instance: "same" };
      const a = await runner("a", { announcement: same });
      await a.established();
      const c = await runner("c");
      await c.sees(({ instance }) => instance === "same");
      const b = await runner("b", { announcement: { ...same, host: "b" } });
      await c.sees(({ instance, host }) => instance === "same (2)" && host === "b");
      expect(await b.report()).toMatchObject({ instance: "same (2)", renames: 1 });
      const seen = await c.sightings();
      expect(seen.map(({ instance, host }) => `${instance}: ${host}`).sort()).toEqual([
        "same (2): b",
        "same: a",
      ]);
    });

    it("follows interfaces that come, change their address and go", async () => {
      const a = await runner("a", { announcement: announcement("a") });
      const d = await runner("d", { announcement: announcement("d") });
      await d.sees(({ addresses }) => addresses.includes("10.98.0.1"));
      await renumber("a", "10.98.0.1/24", "10.98.0.77/24");
      await d.sees(({ addresses }) => addresses.includes("10.98.0.77") && !addresses.includes("10.98.0.1"));
      await network.plug("d", "eth1", { bridge: "right", addresses: ["10.98.1.4/24"] });
      await d.sees(({ interfaces }) => interfaces.includes("eth1"));
      await a.sees(({ addresses }) => addresses.includes("10.98.1.4"));
      await network.ip("d", "link", "del", "eth1");
      await d.sees(({ interfaces }) => !interfaces.includes("eth1"));
      await renumber("a", "10.98.0.77/24", "10.98.0.1/24");
    });

    it("works with nothing but link-local addresses that are still being checked", async () => {
      // Taken down and up, the addresses are tentative again: for a second or two nothing can be sent.
      for (const node of ["e", "f"]) {
        await network.ip(node, "link", "set", "eth0", "down");
        await network.ip(node, "link", "set", "eth0", "up");
      }
      const [e, f] = [
        await runner("e", { announcement: announcement("e") }),
        await runner("f", { announcement: announcement("f") }),
      ];
      const sightings = await Promise.all([e.sees(() => true), f.sees(() => true)]);
      for (const { addresses } of sightings)
        expect(addresses).toEqual([expect.stringMatching(/^fe80::.*%eth0$/)]);
    });

    it("goes on over the other family when the port is taken in one, and comes back", async () => {
      const taken =
        "const s = require('dgram').createSocket('udp4'); s.bind(5353, () => console.log('bound'))";
      const thief = network.start(network.name("d"), [process.execPath, "-e", taken]);
      running.push(thief);
      await thief.until("the port to be taken", (line) => (line === "bound" ? true : undefined));
      await runner("a", { announcement: announcement("a"), interfaces: ["eth0"] });
      const d = await runner("d");
      expect(await d.sees(() => true)).toMatchObject({ instance: "a abcdef" });
      const state = async () =>
        (await d.report()).interfaces.map(({ link, state: is, error }) => [link, is, error]);
      expect(await state()).toEqual([
        ["eth0/IPv4", "failed", "EADDRINUSE"],
        ["eth0/IPv6", "up", null],
      ]);
      await thief.kill();
      const end = Date.now() + 20_000;
      while ((await state())[0]?.[1] !== "up" && Date.now() < end) await d.until("a packet", () => true);
      expect((await state())[0]).toEqual(["eth0/IPv4", "up", null]);
    });

    // avahi-daemon hands its folder over to a user of its own.
    const avahi = isRootless() ? "with avahi (skipped: avahi and its own user need root)" : "with avahi";
    describe.skipIf(isRootless())(avahi, () => {
      let here: Avahi;
      let there: Avahi;

      beforeAll(async () => {
        // The same host name as ours, as it is on a real host.
        here = await network.avahi("a", "a");
        there = await network.avahi("b", "b");
      });

      it("is found and resolved with its TXT by avahi-browse, on the same host and on another", async () => {
        const a = await runner("a", {
          announcement: announcement("a", { txtvers: "1", id: "12D3", st: "fresh" }),
        });
        for (const [avahi, where] of [
          [there, "on another host"],
          [here, "on the same host"],
        ] as const) {
          const both = (found: { name: string; protocol: string }[]): boolean =>
            ["IPv4", "IPv6"].every((family) =>
              found.some(({ name, protocol }) => name === "a abcdef" && protocol === family),
            );
          const found = await avahi.finds(`us ${where}`, both);
          for (const one of found) {
            expect(one, where).toMatchObject({ name: "a abcdef", host: "a.local", port: 7443 });
            expect(one.txt.match(/"[^"]*"/g)?.sort(), where).toEqual([
              '"id=12D3"',
              '"st=fresh"',
              '"txtvers=1"',
            ]);
            expect(one.address, where).toMatch(
              one.interface === "eth0" ? /^(10\.98\.0\.1|fd98::1)$/ : /^(10\.98\.1\.1|fe80::.*)$/,
            );
          }
        }
        a.announce(announcement("a", { txtvers: "1", id: "12D3", st: "member" }));
        const hasNew = (found: { txt: string }[]): boolean =>
          found.length > 0 && found.every(({ txt }) => txt.includes('"st=member"'));
        await there.finds("the new TXT", hasNew);
        await a.stop();
        await there.finds("nothing any more", (found) => found.length === 0);
        await here.finds("nothing any more", (found) => found.length === 0);
      });

      it("sees a service that avahi publishes, from the same host and from another, and its goodbye", async () => {
        const [a, d] = [await runner("a", { announcement: announcement("a") }), await runner("d")];
        for (const [avahi, name] of [
          [there, "by b"],
          [here, "by a"],
        ] as const) {
          const publisher = await avahi.publish(name, 7500, "st=member", "fsid=x");
          running.push(publisher);
          for (const browser of [a, d]) {
            const seen = await browser.sees(
              ({ instance, interfaces }) => instance === name && interfaces.includes("eth0"),
            );
            expect(seen).toMatchObject({ port: 7500, txt: { st: "member", fsid: "x" } });
          }
          const from = [a, d].map((browser) => browser.lines.length);
          await publisher.kill("SIGTERM");
          await Promise.all([a.loses(name, from[0], 8_000), d.loses(name, from[1], 8_000)]);
        }
      });

      it("shares the host name with avahi on the same host: neither takes another", async () => {
        const a = await runner("a", { announcement: announcement("a") });
        const d = await runner("d");
        await d.sees(({ instance }) => instance === "a abcdef");
        const publisher = await here.publish("by a", 7500);
        running.push(publisher);
        await d.sees(({ instance, host }) => instance === "by a" && host === "a");
        expect(await a.report()).toMatchObject({ instance: "a abcdef", host: "a", renames: 0 });
        for (const avahi of [here, there]) {
          expect(avahi.daemon.lines.filter((line) => /conflict|retrying/i.test(line))).toEqual([]);
        }
      });

      it("stays known when avahi on the same host stops and starts", async () => {
        const a = await runner("a", { announcement: announcement("a") });
        const d = await runner("d");
        await d.sees(({ instance }) => instance === "a abcdef");
        const from = d.lines.length;
        await here.daemon.kill("SIGTERM");
        here = await network.avahi("a", "a");
        await here.finds("us", (found) => found.some(({ name }) => name === "a abcdef"));
        expect(d.lines.slice(from).filter((line) => line.includes('"event":"lost"'))).toEqual([]);
        expect(await a.report()).toMatchObject({ renames: 0 });
        expect(here.daemon.lines.filter((line) => /conflict/i.test(line))).toEqual([]);
      });
    });
  },
);
