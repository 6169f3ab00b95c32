import * as Automerge from "@automerge/automerge";
import type { Logger } from "pino";
import { messageOf } from "../../errors/microceph-error.ts";
import type { ClusterId } from "../../ids/ids.ts";
import type { LocalStore } from "../store/local-store.ts";
import { DocumentStorage, type StoredDocument } from "./document-storage.ts";
import { firstEpoch, initialChange } from "./initial-change.ts";

/** Set a root key to a text, or delete it. */
export interface Edit {
  readonly key: string;
  readonly value: string | null;
}

/** Automerge's sync protocol with one other document, as bytes; the state is freed with the object. */
export interface SyncSession {
  /** What to tell the other side now; null when there is nothing to say until it says something. */
  next(): Uint8Array | null;
  /**
   * Take what the other side said; what it brought is durable on return. "refused": the bytes are damaged or
   * contradict what is known. After "refused" or an error (DISK_FULL) the session must not be used again.
   */
  receive(message: Uint8Array): "changed" | "same" | "refused";
}

/** Edits in one commit: the sync protocol sends a whole document where many small commits would do. */
const editsPerCommit = 8;
/** After so many writes or bytes (or the size of the snapshot) since the last one, a new snapshot is made. */
const writesPerSnapshot = 256;
const bytesPerSnapshot = 1024 * 1024;

type Root = Record<string, unknown>;

/**
 * A flat Automerge map of texts on disk: every change, ours or another node's, is durable before the call
 * that brings it returns. The actor id is new on each open, so that a node whose disk was set back never gives
 * out another change under a number that it used before.
 */
export class DurableDocument {
  readonly #storage: DocumentStorage;
  readonly #now: () => number;
  readonly #log: Logger;
  readonly #onChange: (local: boolean) => void;
  #doc: Automerge.Doc<Root>;
  #refetching = false;

  /** Opens what is stored, or begins. `refetch`: when there is nothing stored, other nodes have it. */
  constructor(
    options: { cluster: ClusterId; refetch?: boolean },
    deps: { store: LocalStore; now: () => number; log: Logger; onChange: (local: boolean) => void },
  ) {
    this.#storage = new DocumentStorage(deps.store, options.cluster);
    this.#now = deps.now;
    this.#log = deps.log;
    this.#onChange = deps.onChange;
    const stored = this.#storage.load();
    if (stored === undefined) {
      this.#refetching = options.refetch ?? false;
      this.#doc = emptyDocument();
      this.#saveSnapshot();
    } else {
      this.#refetching = stored.refetching;
      this.#doc = this.#restore(stored);
    }
  }

  readonly epoch: number = firstEpoch;

  /** True from the loss of stored content until a first completed sync with a node that has it. */
  get refetching(): boolean {
    return this.#refetching;
  }

  endRefetch(): void {
    if (!this.#refetching) return;
    this.#storage.setRefetching(false);
    this.#refetching = false;
  }

  heads(): string[] {
    return [...Automerge.getHeads(this.#doc)].sort();
  }

  /** Whether all these changes (hex hashes) are here. */
  hasHeads(heads: readonly string[]): boolean {
    return Automerge.hasHeads(this.#doc, [...heads]);
  }

  /** Bytes on disk. */
  storedBytes(): number {
    const { snapshot, changes } = this.#storage.sizes;
    return snapshot + changes;
  }

  changeCount(): number {
    return Automerge.stats(this.#doc).numChanges;
  }

  keys(): string[] {
    return Object.keys(this.#doc).sort();
  }

  /**
   * Every value that a key has: more than one when nodes wrote it without having seen each other's. The one
   * that Automerge picked, the same on every node, comes first.
   */
  values(key: string): unknown[] {
    const conflicts = Automerge.getConflicts(this.#doc, key);
    if (conflicts === undefined) return Object.hasOwn(this.#doc, key) ? [plain(this.#doc[key])] : [];
    return Object.keys(conflicts)
      .sort(byLamportTime)
      .reverse()
      .map((op) => plain(conflicts[op]));
  }

  /** Make edits, in small commits, in one durable write. True when something changed. Throws DISK_FULL. */
  change(edits: readonly Edit[]): boolean {
    const time = Math.floor(this.#now() / 1000);
    return this.#advance(true, (doc) => {
      let next = doc;
      for (let at = 0; at < edits.length; at += editsPerCommit) {
        next = Automerge.change(next, { time }, (root) => apply(root, edits.slice(at, at + editsPerCommit)));
      }
      return next;
    });
  }

  /** The whole document, for a copy elsewhere. */
  save(): Uint8Array {
    return Automerge.save(this.#doc);
  }

  session(): SyncSession {
    let state = Automerge.initSyncState();
    return {
      next: () => {
        const [after, message] = Automerge.generateSyncMessage(this.#doc, state);
        state = after;
        return message;
      },
      receive: (message) => {
        try {
          Automerge.decodeSyncMessage(message);
        } catch {
          return "refused";
        }
        let refused = false;
        const changed = this.#advance(
          false,
          (doc) => {
            try {
              const [next, after] = Automerge.receiveSyncMessage(doc, state, message);
              state = after;
              return next;
            } catch (error) {
              // E.g. two different changes under one number of one actor.
              this.#log.warn({ error: messageOf(error) }, "changes of another node cannot be merged");
              refused = true;
              throw error;
            }
          },
          () => refused,
        );
        if (refused) return "refused";
        return changed ? "changed" : "same";
      },
    };
  }

  /** Step the document and store the step; when either fails, memory goes back to what is on disk. */
  #advance(
    local: boolean,
    step: (doc: Automerge.Doc<Root>) => Automerge.Doc<Root>,
    expected: () => boolean = () => false,
  ): boolean {
    try {
      const doc = step(this.#doc);
      const bytes = Automerge.saveIncremental(doc);
      if (bytes.length > 0) this.#storage.append(bytes);
      this.#doc = doc;
      if (bytes.length === 0) return false;
    } catch (error) {
      this.#reload();
      if (expected()) return false;
      throw error;
    }
    this.#compactIfDue();
    this.#onChange(local);
    return true;
  }

  #reload(): void {
    const stored = this.#storage.load();
    if (stored === undefined) return;
    const before = this.#refetching;
    this.#doc = this.#restore(stored);
    if (this.#refetching !== before) this.#onChange(false);
  }

  #restore(stored: StoredDocument): Automerge.Doc<Root> {
    const { doc, damage } = assemble(stored);
    if (damage.length === 0 && stored.epoch === this.epoch) return doc;
    const reason = damage[0] ?? `epoch ${stored.epoch}, this is ${this.epoch}`;
    this.#log.warn(
      { reason, pieces: damage.length },
      "stored document is damaged, fetching it from other members",
    );
    this.#storage.copyAside(reason, new Date(this.#now()).toISOString());
    this.#refetching = true;
    this.#doc = stored.epoch === this.epoch ? doc : emptyDocument();
    this.#saveSnapshot();
    return this.#doc;
  }

  #compactIfDue(): void {
    const { snapshot, writes, changes } = this.#storage.sizes;
    // In proportion to the document, so that a large one is not written again for every few changes.
    if (writes < writesPerSnapshot && changes < Math.max(bytesPerSnapshot, snapshot)) return;
    try {
      this.#saveSnapshot();
    } catch (error) {
      // The change itself is stored already; it is only not compact yet.
      this.#log.warn(
        { error: messageOf(error) },
        "document snapshot failed, trying again with the next change",
      );
    }
  }

  #saveSnapshot(): void {
    const snapshot = Automerge.save(this.#doc);
    this.#storage.replace({ epoch: this.epoch, refetching: this.#refetching, snapshot });
  }
}

function emptyDocument(): Automerge.Doc<Root> {
  const [doc] = Automerge.applyChanges(Automerge.init<Root>(), [initialChange]);
  Automerge.saveIncremental(doc);
  return doc;
}

/**
 * Have Automerge do once what a member's document does: its code is compiled where it is called for the first time, for
 * which a node has time while it waits for others, and none in the moment in which it becomes a member.
 */
export function rehearseDocument(): void {
  let one = Automerge.change(emptyDocument(), (root) => {
    root.rehearsal = "";
  });
  let other = emptyDocument();
  let [ofOne, ofOther] = [Automerge.initSyncState(), Automerge.initSyncState()];
  for (let said = true; said; ) {
    const [afterOne, message] = Automerge.generateSyncMessage(one, ofOne);
    ofOne = afterOne;
    if (message !== null) [other, ofOther] = Automerge.receiveSyncMessage(other, ofOther, message);
    const [afterOther, reply] = Automerge.generateSyncMessage(other, ofOther);
    ofOther = afterOther;
    if (reply !== null) [one, ofOne] = Automerge.receiveSyncMessage(one, ofOne, reply);
    said = message !== null || reply !== null;
  }
  const copy = Automerge.load<Root>(Automerge.save(other));
  for (const doc of [one, other, copy]) Automerge.free(doc);
}

/** What can be read of the stored pieces: each is checked, and each that is whole is used. */
function assemble(stored: StoredDocument): { doc: Automerge.Doc<Root>; damage: string[] } {
  const damage: string[] = [];
  let doc = emptyDocument();
  for (const [n, chunk] of stored.chunks.entries()) {
    const name = n === 0 ? "snapshot" : `change ${n}`;
    if (!chunk.whole) {
      damage.push(`${name}: wrong checksum`);
      continue;
    }
    try {
      doc = n === 0 ? Automerge.load<Root>(chunk.bytes) : Automerge.loadIncremental(doc, chunk.bytes);
    } catch (error) {
      damage.push(`${name}: ${messageOf(error).slice(0, 200)}`);
    }
  }
  if (damage.length === 0 && Automerge.getMissingDeps(doc, []).length > 0) damage.push("changes are missing");
  // Tells Automerge that all of this is saved: only what comes after is incremental.
  Automerge.saveIncremental(doc);
  return { doc, damage };
}

function apply(root: Root, edits: readonly Edit[]): void {
  for (const { key, value } of edits) {
    // A scalar, not a collaborative text: a value is replaced as a whole.
    if (value !== null) root[key] = new Automerge.ImmutableString(value);
    else if (key in root) delete root[key];
  }
}

/** Automerge's order of operations, named `<counter>@<actor>`: the last one wins. */
function byLamportTime(a: string, b: string): number {
  const [counterA = "", actorA = ""] = a.split("@");
  const [counterB = "", actorB = ""] = b.split("@");
  return Number(counterA) - Number(counterB) || (actorA < actorB ? -1 : 1);
}

function plain(value: unknown): unknown {
  return Automerge.isImmutableString(value) ? value.val : value;
}
