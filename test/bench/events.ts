// An event of one member until it is in the streams of the two others, against a bare libp2p message.
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, get, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Stream } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { createLibp2p, type Libp2p } from "libp2p";
import { EventStreams } from "../../src/api/event-stream.ts";
import { EventLog } from "../../src/daemon/events/event-log.ts";
import { EventRelay } from "../../src/daemon/events/event-relay.ts";
import type { MeshHost } from "../../src/mesh/host/mesh-host.ts";
import { EventRing } from "../../src/state/store/event-ring.ts";
import { LocalStore } from "../../src/state/store/local-store.ts";
import { connectAll, MeshNodes } from "../unit/mesh/support/mesh-nodes.ts";
import { quietLog } from "../unit/mesh/support/quiet-log.ts";
import type { Bench } from "./bench.ts";

/** Events of one turn, one after the other; the figure is their mean. */
const perTurn = 20;
const protocol = "/bench/1";

/** What a member has for its events: mesh, store, stream on a Unix socket, and one who reads it. */
async function member(mesh: MeshHost, folder: string) {
  const store = LocalStore.open(join(folder, `${mesh.self}.db`));
  const ring = new EventRing({ limit: 10_000 }, { store });
  const events = new EventLog({ ring, self: mesh.self, now: Date.now, log: quietLog });
  const relay = new EventRelay({
    events,
    publish: (body) => mesh.publish("events", body),
    pull: (peer, body, signal) => mesh.request(peer, "events.pull", body, { deadlineMs: 5_000, signal }),
    log: quietLog,
  });
  mesh.handle("events.pull", async (_from, body) => relay.answer(body));
  mesh.subscribe("events", (from, body) => relay.hear(from, body));
  const streams = new EventStreams();
  const source = {
    head: () => events.head,
    read: (after: number, limit: number) => events.read(after, limit),
    on: (listener: () => void) => events.on(listener),
  };
  const server = createServer((_request, response) =>
    streams.serve(response, source, { since: undefined, follow: true }),
  );
  const path = join(folder, `${mesh.self.slice(-8)}.socket`);
  server.listen({ path });
  await once(server, "listening");
  const [answer] = (await once(get({ socketPath: path, agent: false }), "response")) as [IncomingMessage];
  const lines = createInterface({ input: answer });
  return {
    relay,
    /** Resolves when the stream shows the job with this id. */
    shows: (id: string) =>
      new Promise<void>((resolve) => {
        const look = (line: string): void => {
          if (!line.includes(`"${id}"`)) return;
          lines.off("line", look);
          resolve();
        };
        lines.on("line", look);
      }),
    stop: async () => {
      answer.destroy();
      server.close();
      await relay.stop();
      events.close();
      store.close();
    },
  };
}

/** Two libp2p hosts and nothing else; one message of about the same size on an open stream. */
async function barePair(): Promise<{ deliver: () => Promise<void>; stop: () => Promise<void> }> {
  const host = (): Promise<Libp2p> =>
    createLibp2p({
      addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
    });
  const [one, other] = await Promise.all([host(), host()]);
  let arrived = (): void => undefined;
  await other.handle(protocol, (incoming: Stream) => {
    incoming.addEventListener("message", () => arrived());
  });
  const stream = await one.dialProtocol(other.getMultiaddrs(), protocol);
  const message = Buffer.from(JSON.stringify({ text: "x".repeat(200) }));
  return {
    deliver: () =>
      new Promise((resolve) => {
        arrived = resolve;
        stream.send(message);
      }),
    stop: async () => {
      await Promise.all([one.stop(), other.stop()]);
    },
  };
}

export const bench: Bench = {
  name: "events",
  about: "an event of one member until the streams of two others show it, against a bare libp2p message",
  runs: 10,
  warmUps: 2,
  async open() {
    const folder = mkdtempSync(join(tmpdir(), "bench-events-"));
    const nodes = new MeshNodes();
    const meshes = await nodes.start(3);
    await connectAll(meshes);
    const members = await Promise.all(meshes.map((mesh) => member(mesh, folder)));
    const [first, ...others] = members;
    if (first === undefined) throw new Error("no member");
    const bare = await barePair();
    let count = 0;
    const tell = async (): Promise<void> => {
      count += 1;
      const id = `job-${count}`;
      const shown = Promise.all(others.map((one) => one.shows(id)));
      first.relay.tell("job.changed", { id, kind: "bench", state: "running", step: "", progress: 0 });
      await shown;
    };
    const mean = async (once: () => Promise<void>): Promise<number> => {
      const since = performance.now();
      for (let n = 0; n < perTurn; n += 1) await once();
      return (performance.now() - since) / perTurn;
    };
    // Gossip knows its subscribers some ticks after the connections are up.
    await tell();
    return {
      comparisons: [
        {
          title: "event in the streams of two others",
          unit: "ms",
          reference: "one message between two bare libp2p hosts",
          absoluteAim: 2_000,
          ours: () => mean(tell),
          theirs: () => mean(bare.deliver),
        },
      ],
      dispose: async () => {
        await Promise.all(members.map((one) => one.stop()));
        await Promise.all([nodes.stop(), bare.stop()]);
        rmSync(folder, { recursive: true, force: true });
      },
    };
  },
};
