// A client of NFS 4.1 (RFC 8881) that holds a file open and locked, and claims both again when its server is another
// one: what the kernel's client does, which not every kernel that tests run on has. One request at a time:
// nfs-client.ts STATE-FILE ADDRESS PORT COMMAND [ARG]; prints one line: "ok …", or the name of NFS's error.
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";

const answerMs = 5_000;
const names: Readonly<Record<number, string>> = {
  2: "NOENT",
  10008: "DELAY",
  10010: "DENIED",
  10013: "GRACE",
  10022: "STALE_CLIENTID",
  10023: "STALE_STATEID",
  10033: "NO_GRACE",
  10034: "RECLAIM_BAD",
  10052: "BADSESSION",
  10054: "COMPLETE_ALREADY",
};
const operations = {
  getFileHandle: 10,
  lock: 12,
  lookup: 15,
  open: 18,
  putFileHandle: 22,
  putRoot: 24,
  read: 25,
  write: 38,
  exchangeId: 42,
  createSession: 43,
  sequence: 53,
  reclaimComplete: 58,
} as const;

/** What is kept from one request to the next; bytes in hexadecimal. */
interface State {
  owner: string;
  verifier: string;
  server: string;
  clientId: string;
  session: string;
  sequence: number;
  handle: string;
  open: string;
  lock: string;
}

class NfsError extends Error {}

/** XDR (RFC 4506). */
class Writer {
  readonly #parts: Buffer[] = [];

  u32(...values: number[]): this {
    for (const value of values) {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(value);
      this.#parts.push(bytes);
    }
    return this;
  }

  u64(value: bigint): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(value);
    this.#parts.push(bytes);
    return this;
  }

  fixed(hex: string): this {
    this.#parts.push(Buffer.from(hex, "hex"));
    return this;
  }

  opaque(bytes: Buffer | string): this {
    const content = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
    this.u32(content.length);
    this.#parts.push(content, Buffer.alloc((4 - (content.length % 4)) % 4));
    return this;
  }

  append(other: Writer): this {
    this.#parts.push(other.bytes);
    return this;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  u32(): number {
    this.#at += 4;
    return this.#bytes.readUInt32BE(this.#at - 4);
  }

  fixed(length: number): string {
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at).toString("hex");
  }

  opaque(): Buffer {
    const length = this.u32();
    const from = this.#at;
    this.#at += length + ((4 - (length % 4)) % 4);
    return this.#bytes.subarray(from, from + length);
  }
}

/** One operation of a compound: its arguments, and how its result is read once it is no error. */
interface Operation {
  readonly number: number;
  readonly args: Writer;
  readonly read?: (reply: Reader) => void;
}

/** Send a compound, and have each result read. Throws NfsError with the first that failed. */
async function compound(to: { address: string; port: number }, wanted: readonly Operation[]): Promise<void> {
  const credential = new Writer().u32(0).opaque("client").u32(0, 0, 0);
  const call = new Writer()
    .u32(randomBytes(4).readUInt32BE(), 0, 2, 100_003, 4, 1)
    .u32(1)
    .opaque(credential.bytes)
    .u32(0, 0)
    .opaque("")
    .u32(1, wanted.length);
  for (const { number, args } of wanted) call.u32(number).append(args);
  const reply = new Reader(await exchange(to, call.bytes));
  reply.fixed(8);
  if (reply.u32() !== 0) throw new NfsError("REJECTED");
  reply.u32();
  reply.opaque();
  if (reply.u32() !== 0) throw new NfsError("REFUSED");
  reply.u32();
  reply.opaque();
  const done = reply.u32();
  for (const { number, read } of wanted.slice(0, done)) {
    if (reply.u32() !== number) throw new NfsError("CONFUSED");
    const status = reply.u32();
    if (status !== 0) throw new NfsError(names[status] ?? `${status}`);
    read?.(reply);
  }
}

/** A call and its reply, with the marks of records (RFC 5531, section 11). */
function exchange({ address, port }: { address: string; port: number }, call: Buffer): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const socket: Socket = connect({ host: address, port, timeout: answerMs });
  let received = Buffer.alloc(0);
  const mark = Buffer.alloc(4);
  mark.writeUInt32BE((0x80_00_00_00 | call.length) >>> 0);
  const end = (): void => {
    socket.destroy();
    reject(new NfsError("UNREACHABLE"));
  };
  const late = setTimeout(end, answerMs);
  socket.once("connect", () => socket.write(Buffer.concat([mark, call])));
  socket.on("data", (bytes: Buffer) => {
    received = Buffer.concat([received, bytes]);
    const length = received.length < 4 ? Number.POSITIVE_INFINITY : received.readUInt32BE() & 0x7f_ff_ff_ff;
    if (received.length < 4 + length) return;
    clearTimeout(late);
    socket.destroy();
    resolve(received.subarray(4, 4 + length));
  });
  for (const event of ["error", "timeout", "close"]) socket.once(event, end);
  return promise.finally(() => clearTimeout(late));
}

const [file = "", address = "", port = "", command = "", arg = ""] = process.argv.slice(2);
const server = { address, port: Number(port) };
const state: State = (() => {
  const fresh = { server: "", clientId: "", session: "", sequence: 0, handle: "", open: "", lock: "" };
  const own = { owner: randomBytes(8).toString("hex"), verifier: randomBytes(8).toString("hex") };
  try {
    return JSON.parse(readFileSync(file, "utf8")) as State;
  } catch {
    return { ...own, ...fresh };
  }
})();

/** Become known to the server, and have a session with it. */
async function introduce(): Promise<void> {
  let first = 0;
  await compound(server, [
    {
      number: operations.exchangeId,
      args: new Writer().fixed(state.verifier).opaque(state.owner).u32(0, 0, 0),
      read: (reply) => {
        state.clientId = reply.fixed(8);
        first = reply.u32();
        reply.fixed(8);
        reply.fixed(8);
        state.server = reply.opaque().toString();
      },
    },
  ]);
  const channel = (): Writer => new Writer().u32(0, 65_536, 65_536, 4_096, 16, 1, 0);
  await compound(server, [
    {
      number: operations.createSession,
      args: new Writer()
        .fixed(state.clientId)
        .u32(first, 0)
        .append(channel())
        .append(channel())
        .u32(0x40_00_00_00, 1, 0),
      read: (reply) => {
        state.session = reply.fixed(16);
        state.sequence = 0;
      },
    },
  ]);
}

/** A compound in the session. */
function inSession(...wanted: Operation[]): Promise<void> {
  state.sequence += 1;
  const args = new Writer().fixed(state.session).u32(state.sequence, 0, 0, 0);
  const read = (reply: Reader): void => void reply.fixed(36);
  return compound(server, [{ number: operations.sequence, args, read }, ...wanted]);
}

const atFile = (): Operation => ({
  number: operations.putFileHandle,
  args: new Writer().opaque(Buffer.from(state.handle, "hex")),
});
const complete: Operation = { number: operations.reclaimComplete, args: new Writer().u32(0) };
const owner = (): Writer => new Writer().fixed(state.clientId).opaque(state.owner);
const readOpen = (reply: Reader): void => {
  state.open = reply.fixed(16);
  reply.fixed(24);
  for (let words = reply.u32(); words > 0; words -= 1) reply.u32();
  // No delegation; why not, if it says so.
  if (reply.u32() === 3 && [1, 2].includes(reply.u32())) reply.u32();
};

function lock(isClaimedAgain: boolean): Operation {
  const claim = isClaimedAgain ? 1 : 0;
  const range = new Writer().u32(2, claim).u64(0n).u64(0xff_ff_ff_ff_ff_ff_ff_ffn);
  return {
    number: operations.lock,
    args: range.u32(1, 0).fixed(state.open).u32(0).append(owner()),
    read: (reply) => {
      state.lock = reply.fixed(16);
    },
  };
}

const commands: Readonly<Record<string, () => Promise<string>>> = {
  /** Open a file of that path, made if it is not there, for reading and writing. */
  open: async () => {
    await introduce();
    await inSession(complete).catch((error: unknown) => {
      if (!(error instanceof NfsError) || error.message !== "COMPLETE_ALREADY") throw error;
    });
    const parts = arg.split("/").filter((part) => part !== "");
    const name = parts.pop() ?? "";
    await inSession(
      { number: operations.putRoot, args: new Writer() },
      ...parts.map((part) => ({ number: operations.lookup, args: new Writer().opaque(part) })),
      {
        number: operations.open,
        args: new Writer().u32(0, 3, 0).append(owner()).u32(1, 0, 0, 0, 0).opaque(name),
        read: readOpen,
      },
      {
        number: operations.getFileHandle,
        args: new Writer(),
        read: (reply) => {
          state.handle = reply.opaque().toString("hex");
        },
      },
    );
    return state.server;
  },
  lock: async () => {
    await inSession(atFile(), lock(false));
    return "";
  },
  write: async () => {
    const args = new Writer()
      .fixed(state.lock || state.open)
      .u64(0n)
      .u32(2)
      .opaque(arg);
    await inSession(atFile(), { number: operations.write, args });
    return "";
  },
  read: async () => {
    let text = "";
    const args = new Writer()
      .fixed(state.lock || state.open)
      .u64(0n)
      .u32(4_096);
    const read = (reply: Reader): void => {
      reply.u32();
      text = reply.opaque().toString();
    };
    await inSession(atFile(), { number: operations.read, args, read });
    return text;
  },
  /** After the server was started anew, here or elsewhere: the file is open and locked again, as it was. */
  claim: async () => {
    await introduce();
    const args = new Writer().u32(0, 3, 0).append(owner()).u32(0, 1, 0);
    await inSession(atFile(), { number: operations.open, args, read: readOpen });
    await inSession(atFile(), lock(true));
    await inSession(complete);
    return state.server;
  },
};

const act = commands[command];
if (act === undefined) throw new Error(`no such command: ${command}`);
try {
  process.stdout.write(`ok ${await act()}\n`);
} catch (error) {
  if (!(error instanceof NfsError)) throw error;
  process.stdout.write(`${error.message}\n`);
}
writeFileSync(file, JSON.stringify(state));
