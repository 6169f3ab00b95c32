import { Buffer } from "node:buffer";
import { connect } from "node:net";
import { MicrocephError, messageOf } from "../../errors/microceph-error.ts";
import type { Json } from "../../ids/json.ts";

export interface AdminSocketOptions {
  /** Milliseconds for the whole exchange; default 3 s. */
  readonly deadlineMs?: number;
  /** Largest answer in bytes; default 16 MiB. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
}

/**
 * Ask a Ceph daemon through its admin socket: the request as JSON with a closing NUL, the answer as a
 * 32-bit big-endian length and that many bytes (Ceph's src/common/admin_socket.cc).
 * Throws CEPH_DAEMON_DOWN, DEADLINE_EXCEEDED, CANCELLED, or CEPH_REFUSED when the answer is no JSON.
 */
export async function askAdminSocket(
  path: string,
  request: Readonly<Record<string, Json>> & { readonly prefix: string },
  options: AdminSocketOptions = {},
): Promise<Json> {
  const { deadlineMs = 3000, maxBytes = 16 * 1024 * 1024, signal } = options;
  const body = await exchange(
    path,
    JSON.stringify({ format: "json", ...request }),
    deadlineMs,
    maxBytes,
    signal,
  );
  const text = body.toString("utf8");
  if (text.startsWith("ERROR: ")) {
    // While a daemon starts, its socket is there before its commands are.
    const answer = text.trim().slice(0, 200);
    throw new MicrocephError("CEPH_DAEMON_DOWN", `the daemon at ${path} is not ready: ${answer}`, {
      data: { path, prefix: request.prefix, answer },
    });
  }
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw new MicrocephError(
      "CEPH_REFUSED",
      `the daemon at ${path} answered ${request.prefix} with no JSON`,
      {
        data: { path, prefix: request.prefix, answer: text.slice(0, 200) },
        cause,
      },
    );
  }
}

function exchange(
  path: string,
  request: string,
  deadlineMs: number,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(
        new MicrocephError("CANCELLED", "the question to a Ceph daemon was cancelled", { data: { path } }),
      );
      return;
    }
    const socket = connect({ path });
    const chunks: Buffer[] = [];
    let received = 0;
    let expected: number | undefined;
    const finish = (act: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      socket.destroy();
      act();
    };
    const fail = (
      code: "CEPH_DAEMON_DOWN" | "DEADLINE_EXCEEDED" | "CANCELLED",
      text: string,
      cause?: unknown,
    ): void => finish(() => reject(new MicrocephError(code, text, { data: { path }, cause })));
    const onAbort = (): void => fail("CANCELLED", "the question to a Ceph daemon was cancelled");
    const timer = setTimeout(
      () => fail("DEADLINE_EXCEEDED", `the daemon at ${path} did not answer in ${deadlineMs} ms`),
      deadlineMs,
    );
    timer.unref();
    signal?.addEventListener("abort", onAbort, { once: true });
    socket.on("connect", () => socket.write(`${request}\0`));
    socket.on("error", (error) =>
      fail("CEPH_DAEMON_DOWN", `no daemon answers at ${path}: ${messageOf(error)}`, error),
    );
    socket.on("close", () =>
      fail("CEPH_DAEMON_DOWN", `the daemon at ${path} hung up before its answer was whole`),
    );
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      received += chunk.length;
      if (expected === undefined && received >= 4) {
        expected = Buffer.concat(chunks).readUInt32BE(0);
        if (expected > maxBytes) {
          fail(
            "CEPH_DAEMON_DOWN",
            `the daemon at ${path} announces ${expected} bytes, over the cap of ${maxBytes}`,
          );
          return;
        }
      }
      if (expected !== undefined && received >= 4 + expected) {
        const answer = Buffer.concat(chunks).subarray(4, 4 + expected);
        finish(() => resolve(answer));
      }
    });
  });
}
