/** Branded identifiers: a bare string never crosses the border of a room. */
declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** libp2p PeerId of an Ed25519 key, base58btc text (`12D3KooW…`, 52 characters). */
export type PeerId = Branded<string, "PeerId">;
/** Lower-case hex of the first 16 bytes of SHA-256 over the cluster's raw Ed25519 public key. */
export type ClusterId = Branded<string, "ClusterId">;
/** A member's unchanging name in every Ceph id: RFC 1123 label, given at admission. */
export type Handle = Branded<string, "Handle">;
/** Ceph's cluster UUID. */
export type Fsid = Branded<string, "Fsid">;
/** Ceph's OSD number, 0 and up. */
export type OsdId = Branded<number, "OsdId">;
/** One journal entry, unique in its cluster: `<revision of its opening record>-<kind>`. */
export type EntryId = Branded<string, "EntryId">;

const peerIdPattern = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/;
const clusterIdPattern = /^[0-9a-f]{32}$/;
const handlePattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const fsidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const entryIdPattern = /^[0-9]{1,16}-[a-z][a-z.-]{0,40}$/;

export function isPeerId(text: unknown): text is PeerId {
  return typeof text === "string" && peerIdPattern.test(text);
}

export function isClusterId(text: unknown): text is ClusterId {
  return typeof text === "string" && clusterIdPattern.test(text);
}

export function isHandle(text: unknown): text is Handle {
  return typeof text === "string" && handlePattern.test(text);
}

export function isFsid(text: unknown): text is Fsid {
  return typeof text === "string" && fsidPattern.test(text);
}

export function isEntryId(text: unknown): text is EntryId {
  return typeof text === "string" && entryIdPattern.test(text);
}

export function isOsdId(value: unknown): value is OsdId {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function parsed<T>(check: (value: unknown) => value is T, what: string): (value: unknown) => T {
  return (value) => {
    if (!check(value)) throw new TypeError(`not a valid ${what}: ${JSON.stringify(value)?.slice(0, 80)}`);
    return value;
  };
}

export const peerId: (value: unknown) => PeerId = parsed(isPeerId, "PeerId");
export const clusterId: (value: unknown) => ClusterId = parsed(isClusterId, "cluster id");
export const handle: (value: unknown) => Handle = parsed(isHandle, "handle");
export const fsid: (value: unknown) => Fsid = parsed(isFsid, "fsid");
export const entryId: (value: unknown) => EntryId = parsed(isEntryId, "journal entry id");
export const osdId: (value: unknown) => OsdId = parsed(isOsdId, "OSD id");
