import type { Logger } from "pino";
import { MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import { type ClusterId, isPeerId, type PeerId } from "../../ids/ids.ts";
import type { Json } from "../../ids/json.ts";
import type { LocalStore } from "../store/local-store.ts";
import type { AdmissionMode } from "./admission-policy.ts";
import { bounded, checkFacts, usage } from "./check-input.ts";
import type {
  ClusterDocument,
  DocumentProblem,
  JoinToken,
  NodeFacts,
  NodeLabels,
  OsdRemoval,
} from "./cluster-document.ts";
import { DurableDocument, type Edit, type SyncSession } from "./durable-document.ts";
import { type Entries, keyOf, labelNames, readEntries } from "./entries.ts";
import {
  admissionWish,
  joinToken,
  labelValue,
  nodeFacts,
  osdRemoval,
  osdUuid,
  serviceName,
  settingName,
  settingValue,
  tokenId,
} from "./entry-schemas.ts";
import { FactsWriter } from "./facts-writer.ts";
import { type DecodedFacts, decodeFacts, encodeFacts, type Sign, type Verify } from "./signed-facts.ts";
import { resolveView } from "./view.ts";

export interface DocumentOptions {
  readonly self: PeerId;
  readonly cluster: ClusterId;
  /**
   * Set where other members have the document: after joining, and after the store's file was set aside. Only
   * looked at when nothing is stored yet.
   */
  readonly refetch?: boolean;
}

export interface DocumentDeps {
  readonly store: LocalStore;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly log: Logger;
  readonly sign: Sign;
  readonly verify: Verify;
}

/** A change arrived; `local`: made on this node. */
export type DocumentListener = (change: { readonly local: boolean }) => void;

/** Changes in the document from where the daemon says that it grows too long. */
const manyChanges = 50_000;

/**
 * What operators want and what each node says of itself, as one replicated document. Readable and writable on
 * every member, alone too. A call that writes returns when the write is on disk; it throws USAGE for a value
 * that the document would ignore, and DISK_FULL. `setFacts` is the exception: see there.
 */
export class DocumentStore {
  readonly self: PeerId;
  readonly cluster: ClusterId;
  readonly #options: DocumentOptions;
  readonly #deps: DocumentDeps;
  readonly #listeners = new Set<DocumentListener>();
  readonly #factsWriter: FactsWriter<NodeFacts>;
  #raw: DurableDocument | undefined;
  #entries: Entries | undefined;
  #decoded = new Map<string, DecodedFacts>();
  #ownText: string | undefined;

  constructor(options: DocumentOptions, deps: DocumentDeps) {
    this.self = options.self;
    this.cluster = options.cluster;
    this.#options = options;
    this.#deps = deps;
    this.#factsWriter = new FactsWriter<NodeFacts>({
      write: (facts) => this.#writeFacts(facts),
      now: deps.now,
      onError: (error) => deps.log.warn({ error: messageOf(error) }, "own facts cannot be written"),
    });
  }

  /** Load what is stored, or begin. Damaged content is set aside in the store and `refetching` set. */
  open(): void {
    const { cluster, refetch = false } = this.#options;
    const { store, now, log } = this.#deps;
    this.#raw = new DurableDocument(
      { cluster, refetch },
      { store, now, log, onChange: (local) => this.#changed(local) },
    );
  }

  /** Writes facts that wait, then makes no more changes. The store stays open. */
  close(): void {
    if (this.#raw === undefined) return;
    try {
      this.#factsWriter.stop();
    } catch (error) {
      this.#deps.log.warn({ error: messageOf(error) }, "own facts cannot be written");
    }
    this.#raw = undefined;
    this.#entries = undefined;
    this.#decoded.clear();
  }

  view(): ClusterDocument {
    return resolveView(this.#read(), this.#deps.now()).view;
  }

  problems(): DocumentProblem[] {
    const problems = [...resolveView(this.#read(), this.#deps.now()).problems];
    const changes = this.#document().changeCount();
    if (changes > manyChanges) problems.push({ path: "", text: `${changes} changes: it is time to compact` });
    return problems;
  }

  size(): { readonly changes: number; readonly bytes: number } {
    const document = this.#document();
    return { changes: document.changeCount(), bytes: document.storedBytes() };
  }

  /** Hashes (hex, sorted) of the latest changes. Equal heads mean equal documents. */
  heads(): string[] {
    return this.#document().heads();
  }

  hasHeads(heads: readonly string[]): boolean {
    return this.#document().hasHeads(heads);
  }

  /** Documents of different epochs are not merged. */
  get epoch(): number {
    return this.#document().epoch;
  }

  /** True from the loss of stored content until a first completed sync with a node that has it. */
  get refetching(): boolean {
    return this.#document().refetching;
  }

  /** There is nobody to fetch from, or it was fetched: what is here is the document. */
  endRefetch(): void {
    this.#document().endRefetch();
  }

  /** The whole document as Automerge saves it: of this and of `putDocument`. */
  save(): Uint8Array {
    return this.#document().save();
  }

  /** One side of Automerge's sync protocol with one other node. */
  session(): SyncSession {
    return this.#document().session();
  }

  /** Set, or with null unset, settings; many at once go in small commits and one durable write. */
  setSettings(settings: Readonly<Record<string, string | null>>): void {
    this.#change(
      Object.entries(settings).map(([name, value]) => ({
        key: keyOf.setting(usage(settingName, name, "setting")),
        value: value === null ? null : usage(settingValue, value, `value of ${name}`),
      })),
    );
  }

  setSetting(name: string, value: string | null): void {
    this.setSettings({ [name]: value });
  }

  /** What is wanted of a service, or null for no such service. Written as a whole: the last writer holds. */
  setService(name: string, wanted: Json): void {
    const value = wanted === null ? null : bounded(JSON.stringify(wanted), name);
    this.#change([{ key: keyOf.service(usage(serviceName, name, "service")), value }]);
  }

  /** Wish that an OSD is taken out, or, with null, no longer wish it. */
  setRemoval(uuid: string, wish: Pick<OsdRemoval, "osd" | "mode"> | null): void {
    const key = keyOf.removal(usage(osdUuid, uuid, "uuid of an OSD"));
    const said = { ...wish, at: this.#time(), by: this.self };
    const value = wish === null ? null : JSON.stringify(usage(osdRemoval, said, "removal"));
    this.#change([{ key, value }]);
  }

  /** Say that there is a token, or that it was used; with null there is none any more. */
  setToken(id: string, token: Omit<JoinToken, "at" | "by"> | null): void {
    const key = keyOf.token(usage(tokenId, id, "id of a token"));
    const said = { ...token, at: this.#time(), by: this.self };
    const value = token === null ? null : JSON.stringify(usage(joinToken, said, "token"));
    this.#change([{ key, value }]);
  }

  /** Set labels of a node; null unsets one, an absent one stays. */
  setLabels(peer: PeerId, labels: { readonly [label in keyof NodeLabels]?: string | null }): void {
    const edits: Edit[] = [];
    for (const label of labelNames) {
      const value = labels[label];
      if (value === undefined) continue;
      edits.push({
        key: keyOf.label(peer, label),
        value: value === null ? null : usage(labelValue, value, label),
      });
    }
    this.#change(edits);
  }

  /** `until` (RFC 3339) ends `auto`; with null it lasts. It replaces every wish that this node has seen. */
  setAdmission(mode: AdmissionMode, until: string | null): void {
    const wish = usage(admissionWish, { mode, until, at: this.#time(), by: this.self }, "admission");
    this.#change([{ key: keyOf.admission, value: JSON.stringify(wish) }]);
  }

  approve(peer: PeerId): void {
    this.#say(peer, "approve");
  }

  deny(peer: PeerId): void {
    this.#say(peer, "deny");
  }

  /** Remove what is said of a node and what it said: after its removal from the cluster. */
  forget(peer: PeerId): void {
    const keys = [
      keyOf.approval(peer),
      ...labelNames.map((label) => keyOf.label(peer, label)),
      keyOf.node(peer),
    ];
    this.#change(keys.map((key) => ({ key, value: null })));
  }

  /** Take back an approval or a denial. */
  forgetApproval(peer: PeerId): void {
    this.#change([{ key: keyOf.approval(peer), value: null }]);
  }

  /**
   * Say what this node is now. Unchanged facts (but for `updatedAt`) write nothing; changes that follow one
   * another closely are written once, up to a second later. The facts are known again after a restart, so
   * nothing is lost with those that wait.
   */
  setFacts(facts: NodeFacts): void {
    this.#document();
    const checked = usage(nodeFacts, facts, "facts");
    checkFacts(this.cluster, this.self, checked);
    this.#factsWriter.set(checked);
  }

  /** Write own facts that wait still. Throws DISK_FULL. */
  flushFacts(): void {
    this.#document();
    this.#factsWriter.flush();
  }

  /** Listen to changes, which are on disk already. Returns the way to stop it. */
  on(_event: "change", listener: DocumentListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #say(peer: PeerId, verdict: "approve" | "deny"): void {
    if (!isPeerId(peer)) throw new MicrocephError("USAGE", "not a PeerId");
    this.#change([
      { key: keyOf.approval(peer), value: JSON.stringify({ verdict, at: this.#time(), by: this.self }) },
    ]);
  }

  #writeFacts(facts: NodeFacts): void {
    const key = keyOf.node(this.self);
    const known = this.#read().nodes.get(this.self);
    const [current, ...rivals] = this.#document().values(key);
    if (
      known !== undefined &&
      sameFacts(known, facts) &&
      typeof current === "string" &&
      rivals.length === 0
    ) {
      this.#ownText = current;
      return;
    }
    // Automerge takes an equal value for no change, and the rivals would stay.
    const said = rivals.length === 0 ? facts : { ...facts, updatedAt: this.#time() };
    const text = encodeFacts(this.cluster, this.self, said, this.#deps.sign);
    this.#change([{ key, value: text }]);
    this.#ownText = text;
  }

  #change(edits: readonly Edit[]): void {
    this.#document().change(edits);
  }

  #changed(local: boolean): void {
    this.#entries = undefined;
    if (!local) this.#checkOwnFacts();
    for (const listener of this.#listeners) {
      try {
        listener({ local });
      } catch (error) {
        this.#deps.log.error({ error: messageOf(error) }, "a listener to document changes failed");
      }
    }
  }

  /** Another member, or our own past, has put something else under our name. */
  #checkOwnFacts(): void {
    if (this.#ownText === undefined) return;
    const values = this.#document().values(keyOf.node(this.self));
    if (values.length !== 1 || values[0] !== this.#ownText) this.#factsWriter.heal();
  }

  #read(): Entries {
    if (this.#entries === undefined) {
      const before = this.#decoded;
      this.#decoded = new Map();
      this.#entries = readEntries(this.#document(), (peer, text) => {
        const id = `${peer} ${text}`;
        const result = before.get(id) ?? decodeFacts(text, this.cluster, peer, this.#deps.verify);
        this.#decoded.set(id, result);
        return result;
      });
    }
    return this.#entries;
  }

  #document(): DurableDocument {
    if (this.#raw === undefined) throw new MicrocephError("INTERNAL", "the document is not open");
    return this.#raw;
  }

  #time(): string {
    return new Date(this.#deps.now()).toISOString();
  }
}

function sameFacts(a: NodeFacts, b: NodeFacts): boolean {
  return JSON.stringify({ ...a, updatedAt: "" }) === JSON.stringify({ ...b, updatedAt: "" });
}
