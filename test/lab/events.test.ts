// What happens on one node is in the stream of every member, once, and still there after a restart. Real Ceph.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { MeshEvent } from "../../src/api/contract/events.ts";
import { LabCluster, minutes } from "./support/cluster.ts";
import { EventReader } from "./support/event-reader.ts";
import { Lab } from "./support/lab.ts";
import { labSuite } from "./support/lab-suite.ts";

const trio = ["n1", "n2", "n3"];

labSuite("events of three hosts", () => {
  let lab: Lab;
  let cluster: LabCluster;
  const readers = new Map<string, EventReader>();
  const ids = new Map<string, string>();

  beforeAll(async () => {
    lab = await Lab.up("events", { nodes: 3 });
    cluster = new LabCluster(lab);
    for (const node of trio) {
      readers.set(node, await EventReader.open(lab, node, 0));
      ids.set(node, (await lab.mesh(node)).self.id);
    }
  });
  afterAll(async () => {
    for (const reader of readers.values()) reader.close();
    await lab?.down();
  });

  const eventsOf = (node: string): readonly MeshEvent[] => readers.get(node)?.events ?? [];

  /** How many of each node's events are of the past: what comes later is what the test has caused. */
  function marks(): ReadonlyMap<string, number> {
    return new Map(trio.map((node) => [node, eventsOf(node).length]));
  }

  /** The event in the streams of all these nodes; prints how long after the cause it came to each. */
  async function arrives(
    what: string,
    accepts: (event: MeshEvent) => boolean,
    cause: { readonly from: ReadonlyMap<string, number>; readonly at: number },
    nodes: readonly string[] = trio,
  ): Promise<readonly MeshEvent[]> {
    const found = await lab.waitFor(
      `${what} in the streams of ${nodes.join(", ")}`,
      async (note) => {
        const hits = nodes.map((node) => {
          const index = eventsOf(node).findIndex(
            (event, n) => n >= (cause.from.get(node) ?? 0) && accepts(event),
          );
          return { node, index };
        });
        note(hits);
        return hits.every(({ index }) => index >= 0) ? hits : undefined;
      },
      { ...minutes(2), everyMs: 50 },
    );
    const times = found.map(({ node, index }) => (readers.get(node)?.arrivals[index] ?? 0) - cause.at);
    const spread = Math.max(...times) - Math.min(...times);
    process.stdout.write(
      `${what}: ${found.map(({ node }, n) => `${node} ${times[n]?.toFixed(0)} ms`).join(", ")} after its cause; ` +
        `last ${spread.toFixed(0)} ms after the first\n`,
    );
    return found.map(({ node, index }) => eventsOf(node)[index] as MeshEvent);
  }

  it("tell every member of the founding, each thing once", async () => {
    await cluster.formed(trio);
    await cluster.seated("n1", 3);
    for (const node of trio) await cluster.settled(node);
    await arrives("the last seat", ({ type }) => type === "voter.seated", {
      from: new Map(),
      at: performance.now(),
    });
    for (const node of trio) {
      const events = eventsOf(node);
      const joined = events.flatMap((event) => (event.type === "member.joined" ? [event.data.handle] : []));
      expect([...joined].sort(), node).toEqual(trio);
      const made = events.flatMap(({ type, data }) =>
        type === "decision.made" ? [JSON.stringify(data)] : [],
      );
      expect(new Set(made).size, `${node}: no decision twice`).toBe(made.length);
      const epochs = events.flatMap((event) => (event.type === "lease.taken" ? [event.data.epoch] : []));
      expect(new Set(epochs).size, `${node}: no lease twice`).toBe(epochs.length);
      expect(epochs.length, node).toBeGreaterThan(0);
      const seqs = events.map(({ seq }) => seq);
      expect(seqs, `${node}: in order`).toEqual([...new Set(seqs)].sort((x, y) => x - y));
    }
  });

  it("tell of a job and its OSD", async () => {
    const cause = { from: marks(), at: performance.now() };
    for (const node of trio) await cluster.run("n1", "disk", "add", "loop,1G,1", "--target", node);
    const jobs = await arrives(
      "the end of a job of n2",
      (event) =>
        event.type === "job.changed" && event.node === ids.get("n2") && event.data.state === "success",
      cause,
    );
    expect(new Set(jobs.map(({ data }) => JSON.stringify(data))).size).toBe(1);
    for (const host of trio) {
      await arrives(
        `osd.up of ${host}`,
        (event) => event.type === "osd.up" && event.data.host === host,
        cause,
      );
    }
    for (const node of trio) {
      const ends = eventsOf(node).filter(
        (event) =>
          event.type === "job.changed" && event.node === ids.get("n2") && event.data.state === "success",
      );
      expect(ends, `${node}: told once`).toHaveLength(1);
    }
  });

  it("tell of an OSD that stands still, and of its return", async () => {
    const [osd, pid] = [...cluster.daemons("n3")].find(([name]) => name.startsWith("osd.")) ?? [];
    if (osd === undefined || pid === undefined) throw new Error("n3 has no OSD");
    const number = Number(osd.slice("osd.".length));
    const of = (type: "osd.up" | "osd.down") => (event: MeshEvent) =>
      event.type === type && event.data.osd === number;
    const stopped = { from: marks(), at: performance.now() };
    process.kill(pid, "SIGSTOP");
    await arrives(`${osd} down`, of("osd.down"), stopped);
    const continued = { from: marks(), at: performance.now() };
    process.kill(pid, "SIGCONT");
    await arrives(`${osd} up`, of("osd.up"), continued);
  });

  it("tell of a setting", async () => {
    const cause = { from: marks(), at: performance.now() };
    const reply = await lab.api("n2", "PUT", "/1.0/settings/test.events", { value: "on" });
    expect(reply.status).toBe(200);
    await arrives(
      "a setting",
      (event) =>
        event.type === "setting.changed" && event.data.key === "test.events" && event.data.value === "on",
      cause,
    );
  });

  it("tell of the holder's end, and of the next one", async () => {
    const { name: victim } = await cluster.holder("n1");
    const rest = trio.filter((node) => node !== victim);
    const cause = { from: marks(), at: performance.now() };
    await lab.kill(victim, "all");
    await arrives(
      `member.failed of ${victim}`,
      (event) => event.type === "member.failed" && event.data.handle === victim,
      cause,
      rest,
    );
    await arrives(
      "lease.taken",
      (event) => event.type === "lease.taken" && event.data.holder !== ids.get(victim),
      cause,
      rest,
    );
    await lab.start(victim);
    await arrives(
      `member.alive of ${victim}`,
      (event) => event.type === "member.alive" && event.data.handle === victim,
      { from: cause.from, at: performance.now() },
      rest,
    );
  });

  it("repeat what was, after a restart of the daemon, under the same numbers", async () => {
    const node = "n2";
    await cluster.formed(trio);
    const before = await EventReader.open(lab, node, 0);
    const last = await lab.waitFor(
      `${node} to repeat its events`,
      async () => before.events.at(-1)?.seq,
      minutes(1),
    );
    await lab.kill(node, "daemon");
    await lab.start(node);
    const after = await EventReader.open(lab, node, 0);
    await lab.waitFor(
      `${node} to say that it started`,
      async () => after.events.some(({ seq, type }) => seq > last && type === "daemon.started"),
      minutes(1),
    );
    const seqs = after.events.map(({ seq }) => seq);
    expect(seqs).toEqual([...new Set(seqs)].sort((x, y) => x - y));
    const known = new Map(after.events.map((event) => [event.seq, JSON.stringify(event)]));
    // The last moments before the kill may be lost, and then a gap says so; nothing comes under another number.
    for (const event of before.events) {
      expect(known.get(event.seq) ?? JSON.stringify(event), `number ${event.seq}`).toBe(
        JSON.stringify(event),
      );
    }
    const later = await EventReader.open(lab, node, last);
    await lab.waitFor(`${node} to go on after ${last}`, async () => later.events.length > 0, minutes(1));
    expect(later.events[0]?.seq).toBeGreaterThan(last);
    for (const reader of [before, after, later]) reader.close();
    // The loop's delay is of the last whole period, so a daemon that has just started has none yet.
    await lab.waitFor(
      "the metrics to tell how late the loop is",
      async () => {
        const { status, body } = await lab.api(node, "GET", "/1.0/metrics");
        expect(status).toBe(200);
        return /^microceph_event_loop_delay_seconds\{quantile="0.99"\} /m.test(String(body));
      },
      minutes(1),
    );
  });
});
