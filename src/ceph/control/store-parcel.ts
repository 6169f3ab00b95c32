import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Duplex } from "node:stream";
import { z } from "zod";
import { MicrocephError } from "../../errors/microceph-error.ts";
import type { Json } from "../../ids/json.ts";

/**
 * A monitor store on its way between two hosts: one line of JSON, which lists the files, then their bytes one after
 * the other. Empty lines before it only say that the other side is still there.
 */
const header = z.object({
  v: z.literal(1),
  note: z.custom<Json>((value) => value !== undefined),
  files: z
    .array(
      z.object({
        // What the store of a monitor consists of, and nothing that leads out of it.
        path: z.string().regex(/^(?:kv_backend|store\.db\/[A-Za-z0-9][A-Za-z0-9._-]{0,99})$/),
        size: z.int().min(0),
      }),
    )
    .max(10_000),
});
const maxHeaderBytes = 2 * 1024 * 1024;
/** Bytes of a whole store; Ceph warns of one above 15 GiB. */
const maxStoreBytes = 32 * 2 ** 30;

/** Send a store with a note. The other side may be slow: it waits until all is taken. */
export async function sendStore(stream: Duplex, store: string, note: Json): Promise<void> {
  const files = await storeFiles(store);
  await write(stream, `${JSON.stringify({ v: 1, note, files })}\n`);
  for (const { path, size } of files) {
    if (size === 0) continue;
    // A file that grew meanwhile is cut at the size that was told.
    for await (const chunk of createReadStream(join(store, path), { end: size - 1 })) {
      await write(stream, chunk as Buffer);
    }
  }
}

/** The other side is still at it. */
export async function sayAlive(stream: Duplex): Promise<void> {
  await write(stream, "\n");
}

/**
 * Receive a store into a folder, which is emptied once `check` has let the note pass. @returns the note
 * @throws PEER_UNREACHABLE when the stream ends early, UNSUPPORTED_BY_PEER for what is no store
 */
export async function receiveStore(
  stream: Duplex,
  store: string,
  check: (note: Json) => Promise<void> = async () => undefined,
): Promise<Json> {
  const reader = new Reader(stream);
  let line = "";
  while (line === "") line = await reader.line(maxHeaderBytes);
  const parsed = header.safeParse(parseJson(line));
  if (!parsed.success) throw new MicrocephError("UNSUPPORTED_BY_PEER", "what arrived is no monitor store");
  const { note, files } = parsed.data;
  if (files.reduce((sum, { size }) => sum + size, 0) > maxStoreBytes) {
    throw new MicrocephError("UNSUPPORTED_BY_PEER", "a monitor store of this size is not taken");
  }
  await check(note);
  await rm(store, { recursive: true, force: true });
  await mkdir(store, { recursive: true, mode: 0o700 });
  for (const { path, size } of files) {
    const target = join(store, path);
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    await reader.file(target, size);
  }
  return note;
}

async function storeFiles(store: string): Promise<{ path: string; size: number }[]> {
  const names = [
    "kv_backend",
    ...(await readdir(join(store, "store.db")).catch(() => [])).map((name) => `store.db/${name}`),
  ];
  const sized = await Promise.all(
    names.map(async (path) => {
      const found = await stat(join(store, path)).catch(() => undefined);
      return found?.isFile() ? [{ path, size: found.size }] : [];
    }),
  );
  return sized.flat();
}

function write(stream: Duplex, chunk: string | Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(chunk, (error) => (error ? reject(error) : resolve()));
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Takes a stream apart into lines and files. */
class Reader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: Duplex) {
    this.#chunks = stream.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
  }

  async line(limit: number): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf(0x0a);
      if (end >= 0) {
        const line = this.#rest.subarray(0, end).toString("utf8");
        this.#rest = this.#rest.subarray(end + 1);
        return line;
      }
      if (this.#rest.length > limit)
        throw new MicrocephError("UNSUPPORTED_BY_PEER", "what arrived is no monitor store");
      this.#rest = Buffer.concat([this.#rest, await this.#more()]);
    }
  }

  async file(target: string, size: number): Promise<void> {
    const out = createWriteStream(target, { flags: "wx", mode: 0o600, flush: true });
    const ended = new Promise<void>((resolve, reject) => {
      out.once("error", reject);
      out.once("close", () => resolve());
    });
    // It is awaited below; until then it must not end the process.
    ended.catch(() => undefined);
    try {
      for (let left = size; left > 0; ) {
        if (this.#rest.length === 0) this.#rest = await this.#more();
        const part = this.#rest.subarray(0, left);
        this.#rest = this.#rest.subarray(part.length);
        left -= part.length;
        if (!out.write(part)) {
          await Promise.race([ended, new Promise((resolve) => out.once("drain", resolve))]);
        }
      }
    } finally {
      out.end();
    }
    await ended;
  }

  async #more(): Promise<Buffer> {
    const { done, value } = await this.#chunks.next();
    if (done) throw new MicrocephError("PEER_UNREACHABLE", "the other side ended in the middle of a store");
    return Buffer.from(value);
  }
}
