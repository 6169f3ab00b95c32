import type { Question } from "./message.ts";
import { hostLabel } from "./names.ts";
import type { RecordCache } from "./record-cache.ts";
import type { RecordType } from "./records.ts";
import { decodeText } from "./text-record.ts";

/** An instance as seen on one link. */
export interface LinkSighting {
  readonly host: string;
  readonly port: number;
  /** Bare, without scope. */
  readonly addresses: readonly string[];
  readonly txt: Readonly<Record<string, string>>;
  /** Milliseconds: arrival of the newest SRV or TXT, which decides where links differ. */
  readonly toldAt: number;
}

/** The host name that an instance's SRV points to. */
export function targetOf(cache: RecordCache, instanceName: string): string | undefined {
  const record = cache.latest(instanceName, "SRV")?.record;
  return record?.type === "SRV" ? record.data.target : undefined;
}

/** What must be asked for until the instance is complete. One address of either family is enough. */
export function missingOf(cache: RecordCache, instanceName: string): Question[] {
  const lacks = (name: string, type: RecordType): boolean => cache.latest(name, type) === undefined;
  const types = (["SRV", "TXT"] as const).filter((type) => lacks(instanceName, type));
  const questions = types.map((type): Question => ({ name: instanceName, type }));
  const target = targetOf(cache, instanceName);
  if (target !== undefined && lacks(target, "A") && lacks(target, "AAAA")) {
    questions.push({ name: target, type: "A" }, { name: target, type: "AAAA" });
  }
  return questions;
}

/** The instance, or null while it is not complete. */
export function viewOf(cache: RecordCache, instanceName: string): LinkSighting | null {
  const location = cache.latest(instanceName, "SRV");
  const text = cache.latest(instanceName, "TXT");
  if (location?.record.type !== "SRV" || text?.record.type !== "TXT") return null;
  const { target, port } = location.record.data;
  const host = hostLabel(target);
  const addresses = (["A", "AAAA"] as const)
    .flatMap((type) => cache.records(target, type))
    .flatMap(({ record }) => (typeof record.data === "string" ? [record.data] : []));
  if (host === undefined || port === 0 || addresses.length === 0) return null;
  const toldAt = Math.max(location.receivedAt, text.receivedAt);
  return { host, port, addresses, txt: decodeText(text.record.data), toldAt };
}
