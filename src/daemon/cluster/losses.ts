import { Spells, steadyMs } from "../../ceph/plan/spells.ts";
import { MicrocephError } from "../../errors/microceph-error.ts";
import type { PeerId } from "../../ids/ids.ts";
import type { PresenceState } from "../../mesh/presence/presence.ts";

/** Names of the settings in the cluster's document: seconds for which one may be away before others take its place. */
export const graceSettings = { monitor: "grace.monitor", service: "grace.service" } as const;
export type Graced = keyof typeof graceSettings;

/** Seconds. */
export const defaultGrace: Readonly<Record<Graced, number>> = { monitor: 600, service: 600 };
const shortest = 10;
const longest = 30 * 86_400;

/** Seconds of a setting; what cannot be read, or makes no sense, counts as not set. */
export function graceOf(kind: Graced, text: string | undefined): number {
  const seconds = text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  return seconds >= shortest && seconds <= longest ? seconds : defaultGrace[kind];
}

/** Throws USAGE for a value of a setting of these that could not be followed. */
export function checkSetting(name: string, value: string): void {
  const kind = (Object.keys(graceSettings) as Graced[]).find((one) => graceSettings[one] === name);
  if (kind === undefined || graceOf(kind, value) === Number(value)) return;
  throw new MicrocephError(
    "USAGE",
    `${name} takes whole seconds from ${shortest} to ${longest}, not "${value.slice(0, 40)}"`,
  );
}

export interface LossesDeps {
  /** A clock that nobody sets. */
  readonly now: () => number;
  readonly setting: (name: string) => string | undefined;
}

/**
 * Who has been away for longer than the grace time, as this node saw it: members, and monitors out of quorum. A
 * daemon that starts counts from its start, so after that nothing is re-placed too soon.
 */
export class Losses {
  readonly #deps: LossesDeps;
  readonly #members = new Spells<PeerId>();
  readonly #monitors = new Spells<string>();

  constructor(deps: LossesDeps) {
    this.#deps = deps;
  }

  /** Told at each change of members or of who is there. */
  noteMembers(members: Iterable<PeerId>, stateOf: (peer: PeerId) => PresenceState | undefined): void {
    const now = this.#deps.now();
    const known = new Set(members);
    this.#members.keepOnly(known);
    for (const peer of known) this.#members.note(peer, stateOf(peer) === "alive", now);
  }

  /** Told at each look at Ceph: the monitors that are decided on, and those in quorum. */
  noteMonitors(decided: ReadonlySet<string>, quorum: readonly string[]): void {
    const now = this.#deps.now();
    this.#monitors.keepOnly(decided);
    for (const name of decided) this.#monitors.note(name, quorum.includes(name), now);
  }

  isLost(peer: PeerId, kind: Graced): boolean {
    return this.#isOver(this.#members.awayFor(peer, this.#deps.now()), kind);
  }

  /** Whether it has been there for long enough to take the place of one that is lost. */
  isSteady(peer: PeerId): boolean {
    return this.#members.presentFor(peer, this.#deps.now()) >= steadyMs;
  }

  isMonitorLost(name: string): boolean {
    return this.#isOver(this.#monitors.awayFor(name, this.#deps.now()), "monitor");
  }

  /** Who is there, as nearly all are at each plan, costs no look into the document. */
  #isOver(awayMs: number, kind: Graced): boolean {
    return awayMs > 0 && awayMs >= graceOf(kind, this.#deps.setting(graceSettings[kind])) * 1000;
  }
}
