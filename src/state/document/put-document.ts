import * as Automerge from "@automerge/automerge";
import { MicrocephError } from "../../errors/microceph-error.ts";
import type { ClusterId } from "../../ids/ids.ts";
import type { LocalStore } from "../store/local-store.ts";
import { DocumentStorage } from "./document-storage.ts";
import { firstEpoch, initialHead } from "./initial-change.ts";

/** Put a saved document where a cluster's is opened next; it shares its root with every other. Throws BACKUP_REFUSED. */
export function putDocument(store: LocalStore, cluster: ClusterId, saved: Uint8Array): void {
  let doc: Automerge.Doc<unknown>;
  try {
    doc = Automerge.load(saved);
  } catch (error) {
    throw new MicrocephError("BACKUP_REFUSED", "the document in the backup cannot be read", { cause: error });
  }
  if (!Automerge.hasHeads(doc, [initialHead])) {
    throw new MicrocephError("BACKUP_REFUSED", "the document in the backup is of another kind");
  }
  new DocumentStorage(store, cluster).replace({
    ...{ epoch: firstEpoch, refetching: false },
    snapshot: Automerge.save(doc),
  });
}
