import { MicrocephError } from "../errors/microceph-error.ts";
import type { PeerId } from "../ids/ids.ts";

export interface Nameable {
  readonly id: PeerId;
  readonly name: string;
  readonly handle?: string | null;
  /** Of a member: whether it is alive. */
  readonly alive?: boolean;
}

/** Fewest characters of a PeerId that count as a prefix; the fixed start of every Ed25519 PeerId is not counted. */
const shortestPrefix = 6;
const commonStart = "12D3KooW";

/**
 * The node that an operator means: a name or handle if unique, else a PeerId or a prefix of six or more
 * characters (with or without the start that all PeerIds share). A node that was installed anew takes over the
 * name of its former self: of several members that are called so it is the only one that is alive, or, where
 * the dead are spoken of, the only one that is not.
 */
export function resolveNode<T extends Nameable>(
  text: string,
  nodes: readonly T[],
  spokenOf: "alive" | "dead" = "alive",
): T {
  const named = nodes.filter((node) => node.name === text || node.handle === text || node.id === text);
  if (named.length === 1 && named[0]) return named[0];
  const meant = named.filter(({ alive }) => alive === (spokenOf === "alive"));
  if (meant.length === 1 && meant[0]) return meant[0];
  const prefix = text.startsWith(commonStart) ? text.slice(commonStart.length) : text;
  const matching =
    named.length > 1
      ? named
      : prefix.length >= shortestPrefix
        ? nodes.filter((node) => node.id.slice(commonStart.length).startsWith(prefix))
        : [];
  if (matching.length === 1 && matching[0]) return matching[0];
  if (matching.length === 0) {
    throw new MicrocephError("NOT_FOUND", `no node is known by "${text}"`, { data: { node: text } });
  }
  const candidates = matching.map((node) => ({ id: node.id, name: node.name }));
  const list = candidates.map(({ id, name }) => `${name} ${id}`).join(", ");
  throw new MicrocephError("AMBIGUOUS_NODE", `"${text}" fits ${matching.length} nodes: ${list}`, {
    data: { node: text, candidates },
  });
}
