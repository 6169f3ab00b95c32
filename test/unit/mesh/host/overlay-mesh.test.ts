import { afterEach, expect, it } from "vitest";
import type { PeerId } from "../../../../src/ids/ids.ts";
import type { MemberContact, MeshHost } from "../../../../src/mesh/host/mesh-host.ts";
import { Overlay } from "../../../../src/mesh/overlay/overlay.ts";
import { Presence, type PresenceState } from "../../../../src/mesh/presence/presence.ts";
import { contactOf, MeshNodes } from "../support/mesh-nodes.ts";
import { quietLog } from "../support/quiet-log.ts";

const nodes = new MeshNodes();
const started: Presence[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((presence) => presence.stop()));
  await nodes.stop();
});

interface Node {
  mesh: MeshHost;
  presence: Presence;
}

const count = 10;
const options = { fullMeshLimit: 4, rings: 2 };

/** What the daemon does with the mesh and presence of a member, as members and their states change. */
function run(mesh: MeshHost, contacts: ReadonlyMap<PeerId, MemberContact>): Node {
  const deps = { mesh, now: Date.now, random: Math.random, log: quietLog };
  const presence = new Presence({ intervalMs: 200 }, deps);
  started.push(presence);
  const members = [...contacts.keys()];
  const voters = members.slice(0, 3);
  const link = (): void => {
    const gone = [...presence.view()].filter(([, { state }]) => state === "failed" || state === "left");
    const overlay = new Overlay({ members, voters, down: new Set(gone.map(([peer]) => peer)) }, options);
    mesh.setOverlay(overlay, (peer) => presence.stateOf(peer) === "alive");
    presence.setOverlay(overlay);
  };
  mesh.handle("test.whoami", async (from) => from);
  mesh.setMembers(contacts);
  presence.start();
  presence.setMembers(members);
  presence.on("change", (_, state) => {
    if (state !== "suspect") queueMicrotask(link);
  });
  link();
  return { mesh, presence };
}

async function allSee(
  observers: readonly Node[],
  peers: readonly PeerId[],
  wanted: PresenceState,
): Promise<void> {
  const seen = (): string[] =>
    observers.flatMap(({ mesh, presence }) =>
      peers
        .filter((peer) => peer !== mesh.self)
        .map((peer) => presence.view().get(peer)?.state ?? "unknown")
        .filter((state) => state !== wanted),
    );
  await expect.poll(seen, { timeout: 60_000, interval: 50 }).toEqual([]);
}

it("holds ten members together that have few links each", { timeout: 120_000 }, async () => {
  const meshes = await nodes.start(count);
  const contacts = new Map(meshes.map((mesh) => [mesh.self, contactOf(mesh)]));
  const all = meshes.map((mesh) => run(mesh, contacts));
  const members = [...contacts.keys()];
  const overlay = new Overlay({ members, voters: members.slice(0, 3), down: new Set() }, options);
  await allSee(all, members, "alive");
  // Only the links that are wanted.
  for (const { mesh } of all) {
    await expect
      .poll(() => [...mesh.connected()].sort(), { timeout: 30_000 })
      .toEqual([...overlay.linked(mesh.self)].sort());
  }
  const pairs = all.flatMap((one) =>
    all.filter((other) => other !== one).map((other) => [one, other] as const),
  );
  const apart = pairs.filter(([one, other]) => !overlay.areLinked(one.mesh.self, other.mesh.self));
  expect(apart.length).toBeGreaterThan(10);
  // Everybody can ask everybody, over one or two others, in its own name.
  for (const [one, other] of apart) {
    const answer = await one.mesh.request(other.mesh.self, "test.whoami", null, { deadlineMs: 10_000 });
    expect(answer).toBe(one.mesh.self);
  }

  const [gone] = all.splice(5, 1) as [Node];
  await gone.presence.stop();
  await gone.mesh.stop();
  await allSee(all, [gone.mesh.self], "failed");
  // Nobody else was taken for gone, and the links close over the gap.
  await allSee(
    all,
    all.map(({ mesh }) => mesh.self),
    "alive",
  );
  const mended = new Overlay(
    { members, voters: members.slice(0, 3), down: new Set([gone.mesh.self]) },
    options,
  );
  for (const { mesh } of all) {
    await expect
      .poll(() => [...mended.linked(mesh.self)].filter((peer) => !mesh.connected().includes(peer)), {
        timeout: 30_000,
      })
      .toEqual(mended.linked(mesh.self).has(gone.mesh.self) ? [gone.mesh.self] : []);
  }

  const back = await nodes.restart(gone.mesh);
  all.push(run(back, new Map([...contacts, [back.self, contactOf(back)]])));
  await allSee(all, members, "alive");
  const far = members.find((peer) => peer !== back.self && !overlay.areLinked(peer, back.self)) as PeerId;
  const asks = (): Promise<unknown> =>
    back.request(far, "test.whoami", null, { deadlineMs: 10_000 }).catch(String);
  await expect.poll(asks, { timeout: 30_000 }).toBe(back.self);
});
