import type { PeerId } from "../../../src/ids/ids.ts";
import { Overlay } from "../../../src/mesh/overlay/overlay.ts";
import { idOf } from "./documents.ts";

/** The real overlay for what each node believes; those who believe the same share it. */
export class SimOverlays {
  readonly #members: readonly PeerId[];
  readonly #voters: readonly PeerId[];
  readonly #made = new Map<string, Overlay>();

  constructor(nodes: number) {
    this.#members = Array.from({ length: nodes }, (_, index) => idOf(index));
    this.#voters = this.#members.slice(0, nodes >= 7 ? 5 : 3);
  }

  without(down: readonly PeerId[]): Overlay {
    const key = [...down].sort().join(" ");
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const made = new Overlay({ members: this.#members, voters: this.#voters, down: new Set(down) });
    // Of nodes that come and go there are ever new sets; the old ones are made again when they are needed.
    if (this.#made.size >= 64) this.#made.clear();
    this.#made.set(key, made);
    return made;
  }
}
