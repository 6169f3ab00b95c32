import { createHash } from "node:crypto";
import type { PeerId } from "../../ids/ids.ts";
import { fingerprintWordList } from "./fingerprint-word-list.ts";

const wordCount = 4;
const bitsPerWord = 10;

/**
 * Four words, joined by hyphens, that both sides of a claim show so that a person can compare them: 40 bits of
 * SHA-256 over the cluster's raw public key and the node's PeerId.
 */
export function fingerprintWords(clusterPublicKey: string, peer: PeerId): string {
  const digest = createHash("sha256")
    .update("microceph\0fingerprint\0")
    .update(Buffer.from(clusterPublicKey, "base64"))
    .update(peer)
    .digest();
  let bits = digest.readUIntBE(0, (wordCount * bitsPerWord) / 8);
  const words: string[] = [];
  for (let position = 0; position < wordCount; position += 1) {
    const index = bits % 2 ** bitsPerWord;
    bits = Math.floor(bits / 2 ** bitsPerWord);
    words.unshift(fingerprintWordList[index] ?? "");
  }
  return words.join("-");
}
