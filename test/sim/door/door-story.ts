import { allDoorGuards, type DoorGuards } from "./door-node.ts";
import { DoorWorld } from "./door-world.ts";

const troubleMs = 20_000;
const calmMs = 30_000;

/** Admissions, removals and cuts for a while, then calm; the world as it is at the end. */
export async function doorStory(seed: number, guards: DoorGuards = allDoorGuards): Promise<DoorWorld> {
  const world = new DoorWorld(seed, guards);
  const { random, time } = world;
  while (time.now() < troubleMs && world.violations.length === 0) {
    await world.run(random.between(100, 2500));
    const what = random.next();
    const node = random.pick(world.members);
    if (what < 0.3 && world.members.length < 10) world.admit();
    else if (what < 0.55) world.remove(node);
    else if (what < 0.8) world.cut(node);
    else world.heal();
  }
  world.heal();
  if (world.violations.length === 0) await world.run(calmMs);
  return world;
}
