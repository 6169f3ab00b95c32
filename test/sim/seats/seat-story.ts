import { wishedSeats } from "../../../src/ceph/plan/seat-wishes.ts";
import { planSeats, type SeatMember, type SeatStep, seatTarget } from "../../../src/ceph/plan/seats.ts";
import type { Handle, PeerId } from "../../../src/ids/ids.ts";
import { Random } from "../../support/virtual-time.ts";

/** What keeps a wish for monitors by name from costing the cluster any; each can be switched off. */
export interface SeatGuards {
  /** A seat is taken only once another has it. */
  readonly givenFirst: boolean;
  /** Where too few others are there, none is taken although it was said. */
  readonly yields: boolean;
}

export const allSeatGuards: SeatGuards = { givenFirst: true, yields: true };

interface Node {
  readonly number: number;
  readonly zone: string | null;
  alive: boolean;
  /** It has been away for longer than the grace time. */
  lost: boolean;
  steady: boolean;
  leaving: boolean;
}

const events = 120;
const mostMembers = 9;
/** Far more than all seats of the largest cluster need to move. */
const mostSteps = 80;

/**
 * The seats of a cluster by the real planners, while members come, leave, die and return, and people say where they
 * want monitors and where not, whatever was said on another member at the same time.
 */
class SeatWorld {
  readonly violations: string[] = [];
  readonly #random: Random;
  readonly #guards: SeatGuards;
  #nodes: Node[] = [];
  #next = 1;
  #voters: number[] = [1];
  #monitors: number[] = [1];
  #holder = 1;
  #targets: number[] = [];
  #off: number[] = [];

  constructor(seed: number, guards: SeatGuards) {
    this.#random = new Random(seed);
    this.#guards = guards;
    for (let left = this.#random.whole(1, 6); left > 0; left -= 1) this.#join();
  }

  happen(): void {
    const any = this.#random.pick(this.#nodes);
    const { number } = any;
    switch (this.#random.whole(0, 8)) {
      case 0:
        this.#targets = [...this.#targets, number];
        break;
      case 1:
        this.#off = [...this.#off, number];
        break;
      case 2:
        this.#targets = this.#targets.filter((one) => one !== number);
        this.#off = this.#off.filter((one) => one !== number);
        break;
      case 3:
        // What dies takes no majority with it: that no plan could prevent.
        if (this.#canLose(number)) any.alive = any.steady = false;
        break;
      case 4:
        any.lost = !any.alive;
        break;
      case 5:
      case 6:
        this.#return(any);
        break;
      case 7:
        if (this.#nodes.length < mostMembers) this.#join();
        break;
      default:
        any.leaving = this.#random.whole(0, 3) === 0 && this.#nodes.length > 1;
    }
  }

  /** Nothing happens any more, and all are there: the seats come to rest, where they should be. */
  rest(): void {
    for (const node of this.#nodes) this.#return(node);
    for (let step = 0; step < mostSteps && this.step(); step += 1);
    if (this.step()) this.#say(`seats do not come to rest: ${this.#shown()}`);
    else this.#judge();
  }

  /** @returns whether there was anything to do */
  step(): boolean {
    const works = (number: number): boolean => this.#nodes.some((one) => one.number === number && one.alive);
    const able = this.#voters.filter(works);
    if (!able.includes(this.#holder)) this.#holder = able[0] ?? 0;
    const members = this.#nodes.map((node) => this.#asMember(node));
    const voters = this.#voters.map(peerOf);
    const wished = wishedSeats(members, voters, new Set(this.#monitors.map(handleOf)), {
      targets: this.#targets.map(peerOf),
      off: this.#off.map(peerOf),
    });
    const { next, beside, handOver } = planSeats({
      self: peerOf(this.#holder),
      members: this.#weakened(wished.members),
      voters,
      monitors: this.#monitors.map(handleOf),
      monitorsInQuorum: this.#monitors.filter(works).map(handleOf),
      monitorsLost: this.#nodes
        .filter(({ number, lost, alive }) => this.#monitors.includes(number) && lost && !alive)
        .map(({ number }) => handleOf(number)),
    });
    if (handOver) {
      this.#holder = able.find((number) => number !== this.#holder) ?? this.#holder;
      return true;
    }
    // Of two that go on side by side either is done first, or is not done yet when it is planned anew.
    const both = [next, beside].filter((one) => one !== null);
    if (this.#random.whole(0, 1) === 1) both.reverse();
    const done = beside === null ? both : both.slice(0, this.#random.whole(1, 2));
    for (const one of done) this.#carryOut(one, works);
    return this.#bury() || next !== null;
  }

  #join(): void {
    const zone = this.#random.pick(["a", "b", "c", null]);
    const number = this.#next++;
    this.#nodes.push({ ...{ number, zone }, ...{ alive: true, lost: false, steady: true, leaving: false } });
  }

  #return(node: Node): void {
    node.alive = true;
    node.lost = false;
    node.steady = true;
  }

  /** Members that leave and carry nothing more are members no more. */
  #bury(): boolean {
    const before = this.#nodes.length;
    const carries = (number: number): boolean =>
      this.#voters.includes(number) || this.#monitors.includes(number);
    this.#nodes = this.#nodes.filter(({ leaving, number }) => !leaving || carries(number));
    return this.#nodes.length < before;
  }

  #canLose(number: number): boolean {
    const stay = (seats: readonly number[]): boolean => {
      const alive = seats.filter(
        (seat) => seat !== number && this.#nodes.some((one) => one.number === seat && one.alive),
      );
      return alive.length * 2 > seats.length;
    };
    return stay(this.#voters) && stay(this.#monitors);
  }

  #asMember({ number, zone, alive, lost, steady, leaving }: Node): SeatMember {
    return {
      ...{ peer: peerOf(number), handle: handleOf(number), zone, alive, admitted: number },
      ...{ leaving: leaving ? "moving" : null, seats: null, lost, steady },
    };
  }

  /** What the planner of seats is told where a guard is off. */
  #weakened(members: readonly SeatMember[]): SeatMember[] {
    const isOff = ({ peer }: SeatMember): boolean => this.#off.some((number) => peerOf(number) === peer);
    return members.map((member) => {
      if (member.leaving !== null) return member;
      if (!this.#guards.yields && isOff(member)) return { ...member, seats: "away" };
      const isTaken = !this.#guards.givenFirst && member.seats === "away";
      return isTaken ? { ...member, leaving: "dead", alive: false } : member;
    });
  }

  #carryOut({ kind, handle, reason }: SeatStep, works: (number: number) => boolean): void {
    const number = Number(handle.slice(1));
    const isMajority = (seats: readonly number[]): boolean => seats.filter(works).length * 2 > seats.length;
    const before = { voters: isMajority(this.#voters), monitors: isMajority(this.#monitors) };
    const shown = this.#shown();
    if (kind === "voter") this.#voters = [...this.#voters, number];
    if (kind === "monitor") this.#monitors = [...this.#monitors, number];
    if (kind === "voter-out") this.#voters = this.#voters.filter((one) => one !== number);
    if (kind === "monitor-out") this.#monitors = this.#monitors.filter((one) => one !== number);
    const told = `${kind} ${handle} (${reason}) with ${shown}`;
    if (before.voters && !isMajority(this.#voters)) this.#say(`the voters lose their majority by ${told}`);
    if (before.monitors && !isMajority(this.#monitors))
      this.#say(`the monitors lose their quorum by ${told}`);
    if (!kind.endsWith("-out") || !works(number)) return;
    const seats = kind === "voter-out" ? this.#voters : this.#monitors;
    if (seats.length < this.#target) this.#say(`fewer than ${this.#target} are left by ${told}`);
  }

  get #target(): number {
    return seatTarget(this.#nodes.filter(({ leaving }) => !leaving).length);
  }

  /** At rest there are as many as are wanted, where they are wanted. */
  #judge(): void {
    const target = this.#target;
    if (this.#voters.length !== target || this.#monitors.length !== target) {
      this.#say(`${target} seats are needed: ${this.#shown()}`);
    }
    if (target === 1) return;
    const has = (number: number): boolean => this.#monitors.includes(number);
    const all = this.#nodes.map(({ number }) => number);
    const refusing = all.filter((number) => this.#off.includes(number));
    const short = Math.max(0, target - (all.length - refusing.length));
    if (refusing.filter(has).length !== short) {
      this.#say(`${short} of ${refusing} that want none are needed: ${this.#shown()}`);
    }
    const named = all.filter((number) => this.#targets.includes(number) && !refusing.includes(number));
    if (named.filter(has).length < Math.min(named.length, target - short)) {
      this.#say(`not all of ${named} that are named have a monitor: ${this.#shown()}`);
    }
  }

  #shown(): string {
    return `members ${this.#nodes.map(({ number, alive }) => (alive ? number : `(${number})`))}, voters ${this.#voters}, monitors ${this.#monitors}, named ${this.#targets}, off ${this.#off}`;
  }

  #say(violation: string): void {
    this.violations.push(violation);
  }
}

const peerOf = (number: number): PeerId => `peer-${number}` as PeerId;
const handleOf = (number: number): Handle => `n${number}` as Handle;

/** One run from its seed; what must never happen, and what has to be so in the end. */
export function seatStory(seed: number, guards: SeatGuards): string[] {
  const world = new SeatWorld(seed, guards);
  const random = new Random(seed ^ 0x5ea7);
  for (let event = 0; event < events; event += 1) {
    world.happen();
    for (let steps = random.whole(0, 3); steps > 0; steps -= 1) world.step();
  }
  world.rest();
  return world.violations;
}
