/** FNV-1a over the text, then Murmur 3's finalizer to spread it: the same on every node, and fast. Not for secrets. */
export function hash32(salt: string, text: string): number {
  let hash = 0x811c9dc5;
  for (const part of [salt, text]) {
    for (let index = 0; index < part.length; index += 1) {
      hash = Math.imul(hash ^ part.charCodeAt(index), 0x01000193);
    }
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
