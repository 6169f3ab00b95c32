import type { NeighbourReport } from "../../mesh/membership/neighbour-report.ts";
import type { EventLog, NewEvent } from "./event-log.ts";

type Sighting = Pick<NeighbourReport, "peer" | "name" | "address" | "state">;

/** Nodes beyond the own cluster that some member sees in its lobby: told when they come and go. */
export class PeersInSight {
  readonly #events: Pick<EventLog, "emitAll">;
  #seen: ReadonlyMap<string, Sighting> = new Map();

  constructor(events: Pick<EventLog, "emitAll">) {
    this.#events = events;
  }

  /** All that are seen now, by whomever. */
  update(sightings: Iterable<Sighting>): void {
    const now = new Map([...sightings].map((one) => [one.peer as string, one]));
    const before = this.#seen;
    this.#seen = now;
    this.#events.emitAll(sightEvents(before, now));
  }
}

export function sightEvents(
  before: ReadonlyMap<string, Sighting>,
  after: ReadonlyMap<string, Sighting>,
): NewEvent[] {
  return [
    ...[...before.values()]
      .filter(({ peer }) => !after.has(peer))
      .map(({ peer, name }): NewEvent => ({ type: "peer.lost", data: { peer, name } })),
    ...[...after.values()]
      .filter(({ peer }) => !before.has(peer))
      .map(({ peer, name, address, state }): NewEvent => {
        return { type: "peer.seen", data: { peer, name, address, state } };
      }),
  ];
}
