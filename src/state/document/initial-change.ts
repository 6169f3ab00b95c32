import type { Change } from "@automerge/automerge";

/** Epoch of a document that was never compacted. A later epoch starts from an agreed snapshot instead. */
export const firstEpoch = 1;

/**
 * The first change of every document, byte for byte the same on every node: actor 0, time 0, root
 * `{format: 1, epoch: 1}`. Nodes that begin the document without having met so share one root. Kept as bytes
 * because a later Automerge may encode the same operations differently, which would give another hash.
 */
export const initialChange: Change = Buffer.from(
  "hW9Kg9CvtyoBOwAQAAAAAAAAAAAAAAAAAAAAAAEBAAAABhUONAFCAlYCVwJwAn4GZm9ybWF0BWVwb2NoAgIBAhQBAQIA",
  "base64",
);

/** Hash of the initial change. */
export const initialHead = "d0afb72a2dbdba02ce212dbc748feb7ef086a8aa75b77abdce69c576ed72d24b";
