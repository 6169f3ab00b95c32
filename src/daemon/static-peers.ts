import { isIP } from "node:net";
import { z } from "zod";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";
import type { LocalStore } from "../state/store/local-store.ts";

/** A lobby to greet by unicast, where no multicast goes. */
export interface StaticPeer {
  readonly address: string;
  readonly port: number;
}

const key = "static-peers";
/** Most addresses that are kept: as many lobbies as are greeted at all. */
export const maxStaticPeers = 256;
const schema = z
  .array(
    z.object({ address: z.string().refine((text) => isIP(text) !== 0), port: z.int().min(1).max(65_535) }),
  )
  .max(maxStaticPeers);

/** `ADDRESS`, `ADDRESS:PORT`, `[ADDRESS]:PORT`. Throws USAGE. */
export function parsePeer(text: string, defaultPort: number): StaticPeer {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?$/.exec(text);
  const address = isIP(text) ? text : (match?.[1] ?? match?.[2] ?? "");
  const port = isIP(text) || match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (isIP(address) === 0 || port < 1 || port > 65_535) {
    throw new MicrocephError(
      "USAGE",
      `"${text.slice(0, 80)}" is no address: write 10.0.0.7, 10.0.0.7:7443 or [fd00::7]:7443`,
    );
  }
  return { address, port };
}

/** Those of the daemon's command line and those that were added since, which outlive it. */
export class StaticPeers {
  readonly #fixed: readonly StaticPeer[];
  readonly #store: LocalStore;

  constructor(fixed: readonly StaticPeer[], store: LocalStore) {
    this.#fixed = fixed;
    this.#store = store;
  }

  list(): StaticPeer[] {
    const all = [...this.#fixed, ...this.#added()];
    return [...new Map(all.map((peer) => [`${peer.address} ${peer.port}`, peer])).values()];
  }

  /** Idempotent. Throws USAGE when no more are kept. */
  add(peer: StaticPeer): void {
    const others = this.#added().filter((one) => !isSame(one, peer));
    if (others.length >= maxStaticPeers) {
      throw new MicrocephError("USAGE", `${maxStaticPeers} addresses are kept at most; remove one first`);
    }
    this.#store.put(key, [...others, peer] as unknown as Json);
  }

  /** Whether there was one to remove. */
  remove(peer: StaticPeer): boolean {
    const before = this.#added();
    const after = before.filter((one) => !isSame(one, peer));
    if (after.length < before.length) this.#store.put(key, after as unknown as Json);
    return after.length < before.length;
  }

  #added(): readonly StaticPeer[] {
    return schema.safeParse(this.#store.get(key)).data ?? [];
  }
}

function isSame(a: StaticPeer, b: StaticPeer): boolean {
  return a.address === b.address && a.port === b.port;
}
