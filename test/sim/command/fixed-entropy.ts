import { Random } from "../../support/virtual-time.ts";

/** Automerge draws its actor ids from the process's cryptographic randomness: for a while that is drawn from a seed. */
export async function withFixedEntropy<T>(seed: number, work: () => Promise<T>): Promise<T> {
  const { crypto } = globalThis;
  const random = new Random(seed ^ 0x3e7);
  const getRandomValues = <A extends ArrayBufferView | null>(array: A): A => {
    if (array === null) return array;
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let n = 0; n < bytes.length; n += 1) bytes[n] = random.whole(0, 255);
    return array;
  };
  Object.defineProperty(crypto, "getRandomValues", { value: getRandomValues, configurable: true });
  try {
    return await work();
  } finally {
    // Uncovers the one of its prototype.
    Reflect.deleteProperty(crypto, "getRandomValues");
  }
}
