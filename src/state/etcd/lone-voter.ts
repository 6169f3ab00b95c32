import { type IncomingMessage, request } from "node:http";
import { z } from "zod";
import { readBody } from "./read-body.ts";

/** Milliseconds for all of it; etcd elects itself in a second anyway. */
const deadlineMs = 500;
const replyLimit = 64 * 1024;
/** `MessageType` of etcd's raftpb: start an election without waiting (Raft dissertation, 3.10: TimeoutNow). */
const timeoutNow = 14;

/** 64-bit ids stay text: a number of JavaScript would be another member. */
const members = z.array(z.object({ id: z.string().regex(/^\d{1,20}$/) }));

/**
 * Let the only member of an etcd elect itself now instead of at the end of its random election timeout. It is sent the
 * message with which a leader hands over, at its own peer socket; a candidate that nobody else votes for can harm no
 * term. Does nothing where there are others, learners included. Throws what went wrong: the election comes later then.
 */
export async function electLoneVoter(socketPath: string, version: string): Promise<boolean> {
  const signal = AbortSignal.timeout(deadlineMs);
  const list = await call({ socketPath, path: "/members", signal });
  const cluster = list.headers["x-etcd-cluster-id"];
  const found = members.parse(
    JSON.parse((await readBody(list, replyLimit)).replace(/"id":\s*(\d+)/g, '"id":"$1"')),
  );
  const [only] = found;
  if (only === undefined || found.length > 1 || typeof cluster !== "string") return false;
  const id = BigInt(only.id);
  const message = Buffer.from([...field(1, BigInt(timeoutNow)), ...field(2, id), ...field(3, id)]);
  const reply = await call({
    ...{ socketPath, path: "/raft", method: "POST", signal, body: message },
    headers: {
      "content-type": "application/protobuf",
      "x-etcd-cluster-id": cluster,
      "x-server-from": id.toString(16),
      "x-server-version": version,
    },
  });
  const words = await readBody(reply, replyLimit);
  if (reply.statusCode !== 204) throw new Error(`etcd answered ${reply.statusCode}: ${words.slice(0, 200)}`);
  return true;
}

/** A number in protobuf: the field's tag and a varint. */
function field(number: number, value: bigint): number[] {
  const bytes = [number << 3];
  let left = value;
  for (; left > 127n; left >>= 7n) bytes.push(Number(left & 127n) | 128);
  return [...bytes, Number(left)];
}

interface Call {
  readonly socketPath: string;
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly signal: AbortSignal;
}

function call({ body, ...options }: Call): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request({ ...options, agent: false }, resolve);
    sent.on("error", reject);
    sent.end(body);
  });
}
