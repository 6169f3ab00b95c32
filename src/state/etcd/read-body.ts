import type { IncomingMessage } from "node:http";

/** The whole body of a response, as text. Throws when it breaks off or has more than `limit` bytes. */
export async function readBody(response: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    const part = chunk as Buffer;
    size += part.length;
    if (size > limit) throw new Error(`reply longer than ${limit} bytes`);
    chunks.push(part);
  }
  return Buffer.concat(chunks).toString("utf8");
}
