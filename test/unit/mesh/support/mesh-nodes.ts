import { clusterId, type Handle, type PeerId } from "../../../../src/ids/ids.ts";
import { type MemberContact, MeshHost } from "../../../../src/mesh/host/mesh-host.ts";
import { type MemberCertificate, signCertificate } from "../../../../src/mesh/identity/certificate.ts";
import { generateClusterKey } from "../../../../src/mesh/identity/cluster-key.ts";
import { generateIdentity, type NodeIdentity } from "../../../../src/mesh/identity/node-identity.ts";
import { quietLog } from "./quiet-log.ts";

export const clusterKey = generateClusterKey();
export const cluster = clusterId(clusterKey.id);

export function certify(peer: PeerId): MemberCertificate {
  return signCertificate({ peer, handle: "n1" as Handle, generation: 1, decision: 1 }, clusterKey);
}

export function contactOf(mesh: MeshHost): MemberContact {
  return { peer: mesh.self, addresses: ["127.0.0.1"], port: mesh.port };
}

/** Mesh hosts on 127.0.0.1, stopped together. */
export class MeshNodes {
  readonly #all: MeshHost[] = [];
  readonly #identities = new Map<PeerId, NodeIdentity>();
  readonly #ports = new Map<PeerId, number>();

  async start(
    count: number,
    options: { pulseMs?: number } = {},
    now = () => performance.now(),
  ): Promise<MeshHost[]> {
    const started = await Promise.all(
      Array.from({ length: count }, async () => {
        const identity = await generateIdentity();
        const mesh = new MeshHost(
          { identity, listen: ["127.0.0.1"], port: 0, cluster, ...options },
          { log: quietLog, now },
        );
        await mesh.start();
        this.#identities.set(mesh.self, identity);
        this.#ports.set(mesh.self, mesh.port);
        return mesh;
      }),
    );
    // In the order of their PeerIds: who dials and who decides depends on it.
    started.sort((a, b) => (a.self < b.self ? -1 : 1));
    this.#all.push(...started);
    return started;
  }

  /** Another run of a node that was stopped, at the same address. */
  async restart(stopped: MeshHost): Promise<MeshHost> {
    const identity = this.#identities.get(stopped.self);
    if (identity === undefined) throw new RangeError("not started here");
    const mesh = new MeshHost(
      { identity, listen: ["127.0.0.1"], port: this.#ports.get(stopped.self) ?? 0, cluster },
      { log: quietLog, now: () => performance.now() },
    );
    await mesh.start();
    this.#all.push(mesh);
    return mesh;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.splice(0).map((mesh) => mesh.stop()));
  }
}

/** Give each the others as members and wait until every pair is connected. */
export async function connectAll(meshes: readonly MeshHost[]): Promise<void> {
  const members = new Map(meshes.map((mesh) => [mesh.self, contactOf(mesh)]));
  for (const mesh of meshes) mesh.setMembers(members);
  await Promise.all(
    meshes.flatMap((mesh) => meshes.filter((other) => other !== mesh).map((other) => isUp(mesh, other.self))),
  );
}

export function isUp(mesh: MeshHost, peer: PeerId, wanted = true): Promise<void> {
  if (mesh.connected().includes(peer) === wanted) return Promise.resolve();
  return new Promise((resolve) => {
    const stop = mesh.onConnection((other, up) => {
      if (other !== peer || up !== wanted) return;
      stop();
      resolve();
    });
  });
}
