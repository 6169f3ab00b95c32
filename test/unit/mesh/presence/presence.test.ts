import { afterEach, describe, expect, it } from "vitest";
import type { PeerId } from "../../../../src/ids/ids.ts";
import type { MeshHost } from "../../../../src/mesh/host/mesh-host.ts";
import { Presence, type PresenceState } from "../../../../src/mesh/presence/presence.ts";
import { connectAll, MeshNodes } from "../support/mesh-nodes.ts";
import { quietLog } from "../support/quiet-log.ts";

const nodes = new MeshNodes();
const started: Presence[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((presence) => presence.stop()));
  await nodes.stop();
});

async function cluster(count: number): Promise<{ mesh: MeshHost; presence: Presence }[]> {
  const meshes = await nodes.start(count);
  const members = meshes.map(({ self }) => self);
  const all = meshes.map((mesh) => {
    const presence = new Presence(
      { intervalMs: 100 },
      { mesh, now: Date.now, random: Math.random, log: quietLog },
    );
    presence.start();
    presence.setMembers(members);
    started.push(presence);
    return { mesh, presence };
  });
  await connectAll(meshes);
  await Promise.all(
    all.map(({ mesh, presence }) =>
      Promise.all(
        members.filter((peer) => peer !== mesh.self).map((peer) => becomes(presence, peer, "alive")),
      ),
    ),
  );
  return all;
}

function becomes(presence: Presence, peer: PeerId, wanted: PresenceState): Promise<void> {
  if (presence.view().get(peer)?.state === wanted) return Promise.resolve();
  return new Promise((resolve) => {
    const stop = presence.on("change", (other, state) => {
      if (other !== peer || state !== wanted) return;
      stop();
      resolve();
    });
  });
}

describe("presence over the mesh", () => {
  it("sees all, then one that vanishes as suspect and failed, everywhere", async () => {
    const [one, two, gone] = await cluster(3);
    if (one === undefined || two === undefined || gone === undefined) throw new Error("three were started");
    expect([...one.presence.view().keys()].sort()).toEqual([two.mesh.self, gone.mesh.self].sort());
    const seen: PresenceState[] = [];
    one.presence.on("change", (_, state) => seen.push(state));
    await gone.presence.stop();
    await gone.mesh.stop();
    await Promise.all([one, two].map(({ presence }) => becomes(presence, gone.mesh.self, "failed")));
    expect(seen).toEqual(["suspect", "failed"]);
    expect(one.presence.view().get(two.mesh.self)?.state).toBe("alive");
  });

  it("keeps one that only this node cannot reach as suspect", async () => {
    const [one, two, cut] = await cluster(3);
    if (one === undefined || two === undefined || cut === undefined) throw new Error("three were started");
    // The two are members of each other's, but no connection comes about between them.
    one.mesh.deny(cut.mesh.self);
    await becomes(one.presence, cut.mesh.self, "suspect");
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(one.presence.view().get(cut.mesh.self)?.state).toBe("suspect");
    expect(two.presence.view().get(cut.mesh.self)?.state).toBe("alive");
  });

  it("knows one that said goodbye", async () => {
    const [one, leaver] = await cluster(2);
    if (one === undefined || leaver === undefined) throw new Error("two were started");
    const left = becomes(one.presence, leaver.mesh.self, "left");
    await leaver.presence.leave();
    await left;
    await leaver.presence.stop();
    await leaver.mesh.stop();
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(one.presence.view().get(leaver.mesh.self)?.state).toBe("left");
  });
});
