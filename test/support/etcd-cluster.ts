import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Logger, pino } from "pino";
import { type ClusterId, clusterId, type Handle, handle, type PeerId, peerId } from "../../src/ids/ids.ts";
import type { EtcdTimers } from "../../src/state/etcd/etcd-arguments.ts";
import { EtcdClient } from "../../src/state/etcd/etcd-client.ts";
import { EtcdProcess } from "../../src/state/etcd/etcd-process.ts";
import { PeerSockets, type Voter } from "../../src/state/etcd/peer-sockets.ts";

export const quiet: Logger = pino({ level: process.env.TEST_LOG ?? "silent" });
export const testCluster: ClusterId = clusterId("0123456789abcdef0123456789abcdef");
/** Quick elections, yet slow enough for a busy machine. */
export const quickTimers = { heartbeatMs: 50, electionMs: 500 };

export function testPeer(number: number): PeerId {
  return peerId(`12D3KooW${String.fromCharCode(65 + number).repeat(44)}`);
}

/** One real etcd with its peer sockets, in a folder of its own. */
export class EtcdHost {
  readonly handle: Handle;
  readonly peer: PeerId;
  readonly dir: string;
  readonly client: EtcdClient;
  readonly sockets: PeerSockets;
  process: EtcdProcess;
  readonly #cut = new Set<PeerId>();
  readonly #timers: EtcdTimers;

  constructor(root: string, number: number, hosts: Map<PeerId, EtcdHost>, timers: EtcdTimers) {
    this.#timers = timers;
    this.handle = handle(`n${number}`);
    this.peer = testPeer(number);
    this.dir = join(root, this.handle);
    // In place of the mesh: the other's own peer socket, unless the two are cut off from each other.
    const openTunnel = async (peer: PeerId) => {
      const other = hosts.get(peer);
      if (!other || this.#cut.has(peer) || other.#cut.has(this.peer)) throw new Error("no way there");
      return other.sockets.connectOwn();
    };
    this.sockets = new PeerSockets({ dir: this.dir, self: this.handle }, { openTunnel, log: quiet });
    this.process = this.#process("new", []);
    this.client = new EtcdClient({ socketPath: this.process.clientSocket });
  }

  async start(mode: "new" | "existing", voters: readonly Voter[]): Promise<void> {
    this.process = this.#process(
      mode,
      voters.map((voter) => ({ name: voter.handle })),
    );
    await this.sockets.start(voters);
    await this.process.start();
  }

  async stop(): Promise<void> {
    await this.process.stop();
    await this.sockets.stop();
  }

  /** As if the power failed: etcd is killed and does not come back. */
  async kill(): Promise<void> {
    const { pid } = this.process;
    if (pid !== null) process.kill(pid, "SIGKILL");
    await this.stop();
  }

  #process(mode: "new" | "existing", peers: { name: Handle }[]): EtcdProcess {
    return new EtcdProcess(
      { dir: this.dir, name: this.handle, peers, mode, token: testCluster, timers: this.#timers },
      { log: quiet },
    );
  }
}

/** Hosts on one machine, joined by plain Unix sockets in place of the mesh. */
export class EtcdCluster {
  readonly root: string = mkdtempSync(join(tmpdir(), "etcd-"));
  readonly hosts = new Map<PeerId, EtcdHost>();
  readonly #timers: EtcdTimers;

  constructor(timers: EtcdTimers = quickTimers) {
    this.#timers = timers;
  }

  host(number: number): EtcdHost {
    const peer = testPeer(number);
    const host = this.hosts.get(peer) ?? new EtcdHost(this.root, number, this.hosts, this.#timers);
    this.hosts.set(peer, host);
    return host;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.hosts.values()].map((host) => host.kill()));
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Resolves when `holds` does; asks again whenever `every` milliseconds have passed. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  ms = 10_000,
): Promise<void> {
  const end = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
