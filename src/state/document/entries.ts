import type { z } from "zod";
import { messageOf } from "../../errors/microceph-error.ts";
import { isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { AdmissionWish } from "./admission-policy.ts";
import type { Approval } from "./approval-policy.ts";
import { parseBoundedJson } from "./bounded-json.ts";
import type { DocumentProblem, JoinToken, NodeFacts, NodeLabels, OsdRemoval } from "./cluster-document.ts";
import {
  admissionWish,
  approvalWord,
  firstIssue,
  joinToken,
  labelValue,
  maxEntries,
  maxEntryLength,
  osdRemoval,
  osdUuid,
  serviceName,
  settingName,
  settingValue,
  tokenId,
} from "./entry-schemas.ts";
import type { DecodedFacts } from "./signed-facts.ts";

/** Keys of the flat document. A key that starts otherwise belongs to another version and is left alone. */
export const keyOf = {
  admission: "admission",
  setting: (name: string): string => `setting/${name}`,
  service: (name: string): string => `service/${name}`,
  approval: (peer: PeerId): string => `approval/${peer}`,
  label: (peer: PeerId, label: keyof NodeLabels): string => `label/${peer}/${label}`,
  token: (id: string): string => `token/${id}`,
  removal: (uuid: string): string => `removal/${uuid}`,
  node: (peer: PeerId): string => `node/${peer}`,
} as const;

/** The raw document: what is under a key, the winner first among concurrent values. */
export interface EntrySource {
  keys(): readonly string[];
  values(key: string): readonly unknown[];
}

/** Every valid entry, before time and conflicts are considered; made by `readEntries`. */
export interface Entries {
  readonly settings: Map<string, string>;
  readonly services: Map<string, Json>;
  readonly labels: Map<PeerId, NodeLabels>;
  readonly admission: readonly AdmissionWish[];
  readonly approvals: Map<PeerId, readonly Approval[]>;
  readonly nodes: Map<PeerId, NodeFacts>;
  /** All concurrent values of each. */
  readonly tokens: Map<string, readonly JoinToken[]>;
  readonly removals: Map<string, OsdRemoval>;
  readonly problems: readonly DocumentProblem[];
}

type Decode = (peer: PeerId, text: string) => DecodedFacts;

/** Read the whole document: a bad entry is left out and listed, whatever it is. Never throws. */
export function readEntries(source: EntrySource, decode: Decode): Entries {
  const problems: DocumentProblem[] = [];
  const settings = new Map<string, string>();
  const services = new Map<string, Json>();
  const labels = new Map<PeerId, NodeLabels>();
  const approvals = new Map<PeerId, readonly Approval[]>();
  const nodes = new Map<PeerId, NodeFacts>();
  const tokens = new Map<string, readonly JoinToken[]>();
  const removals = new Map<string, OsdRemoval>();
  let admission: readonly AdmissionWish[] = [];

  for (const [kind, keys] of byKind(source.keys(), problems)) {
    for (const key of keys) {
      const report = (text: string): void => void problems.push({ path: key.slice(0, 128), text });
      const valid = <T>(parse: (text: string) => T): T[] => parseEach(source.values(key), parse, report);
      const [, subject = "", label = ""] = key.split("/");
      switch (kind) {
        case "admission":
          admission = valid((text) => checked(admissionWish, parseBoundedJson(text, maxEntryLength)));
          break;
        case "setting":
          if (!settingName.safeParse(subject).success) report("not a name of a setting");
          else
            first(
              valid((text) => checked(settingValue, text)),
              (value) => settings.set(subject, value),
            );
          break;
        case "service":
          if (!serviceName.safeParse(subject).success) report("not a name of a service");
          else
            first(
              valid((text) => parseBoundedJson(text, maxEntryLength)),
              (value) => services.set(subject, value),
            );
          break;
        case "label":
          if (!isPeerId(subject)) report("not a PeerId");
          else if (isLabel(label))
            first(
              valid((text) => checked(labelValue, text)),
              (value) => labels.set(subject, { ...labels.get(subject), [label]: value }),
            );
          break;
        case "approval":
          if (!isPeerId(subject)) report("not a PeerId");
          else
            approvals.set(
              subject,
              valid((text) => checked(approvalWord, parseBoundedJson(text, maxEntryLength))),
            );
          break;
        case "token":
          if (!tokenId.safeParse(subject).success) report("not the id of a token");
          else
            tokens.set(
              subject,
              valid((text) => checked(joinToken, parseBoundedJson(text, maxEntryLength))),
            );
          break;
        case "removal":
          if (!osdUuid.safeParse(subject).success) report("not the uuid of an OSD");
          else
            first(
              valid((text) => checked(osdRemoval, parseBoundedJson(text, maxEntryLength))),
              (wish) => removals.set(subject, wish),
            );
          break;
        case "node":
          if (!isPeerId(subject)) report("not a PeerId");
          else
            first(latestFirst(valid((text) => decoded(decode(subject, text)))), (facts) =>
              nodes.set(subject, facts),
            );
          break;
      }
    }
  }
  return { settings, services, labels, admission, approvals, nodes, tokens, removals, problems };
}

/** Labels that are read. */
export const labelNames = ["zone", "name", "leaving", "seats"] as const satisfies (keyof NodeLabels)[];
const isLabel = (label: string): label is keyof NodeLabels => labelNames.some((each) => each === label);

const kinds = ["admission", "setting", "service", "label", "approval", "token", "removal", "node"] as const;
type Kind = (typeof kinds)[number];

function byKind(keys: readonly string[], problems: DocumentProblem[]): Map<Kind, string[]> {
  const groups = new Map<Kind, string[]>();
  for (const key of keys) {
    const kind = kinds.find((each) => key === each || (each !== "admission" && key.startsWith(`${each}/`)));
    if (kind === undefined) continue;
    const group = groups.get(kind) ?? [];
    group.push(key);
    groups.set(kind, group);
  }
  for (const [kind, group] of groups) {
    if (group.length <= maxEntries) continue;
    problems.push({ path: kind, text: `${group.length} entries, only ${maxEntries} are looked at` });
    group.length = maxEntries;
  }
  return groups;
}

function parseEach<T>(
  values: readonly unknown[],
  parse: (text: string) => T,
  report: (text: string) => void,
): T[] {
  const parsed: T[] = [];
  for (const value of values) {
    try {
      if (typeof value !== "string") throw new TypeError("not a text");
      if (value.length > maxEntryLength) throw new RangeError(`longer than ${maxEntryLength} characters`);
      parsed.push(parse(value));
    } catch (error) {
      report(messageOf(error).slice(0, 300));
    }
  }
  return parsed;
}

function checked<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (!result.success) throw new TypeError(firstIssue(result.error));
  return result.data;
}

function decoded(result: DecodedFacts): NodeFacts {
  if (!result.ok) throw new TypeError(result.text);
  return result.facts;
}

function first<T>(values: readonly T[], use: (value: T) => void): void {
  const value = values[0];
  if (value !== undefined) use(value);
}

/** Two states of one node meet only after it lost its disk: the later one is true, the same on every node. */
function latestFirst(facts: NodeFacts[]): NodeFacts[] {
  const rank = (each: NodeFacts): string => new Date(each.updatedAt).toISOString() + JSON.stringify(each);
  return facts.sort((a, b) => (rank(a) < rank(b) ? 1 : -1));
}
