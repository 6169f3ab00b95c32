import type { ErrorCode } from "../../errors/codes.ts";
import { MicrocephError } from "../../errors/microceph-error.ts";

/** etcd's messages (api/v3rpc/rpctypes/error.go, 3.4 to 3.6) and what they mean to us, first match first. */
const meanings: readonly (readonly [RegExp, ErrorCode])[] = [
  [/lease not found|member not found/, "NOT_FOUND"],
  [/database space exceeded/, "DISK_FULL"],
  [/corrupt/, "STATE_CORRUPT"],
  // A membership change that etcd refuses for now: the caller tries again until its deadline.
  [/unhealthy cluster|can only promote a learner|too many learner|not enough started members/, "NOT_READY"],
  [/not supported for learner/, "NOT_READY"],
  [
    /timed out|time out|timeout|leader changed|no leader|not leader|server stopped|too many requests|not capable|transport is closing|deadline exceeded|connection (error|refused)/,
    "NO_QUORUM",
  ],
];

/** An error reply of etcd as one of ours; `data.etcd` has its own words. */
export function gatewayError(words: string, call: string): MicrocephError {
  const code = meanings.find(([pattern]) => pattern.test(words))?.[1] ?? "INTERNAL";
  return new MicrocephError(code, `etcd ${call}: ${words.slice(0, 300)}`, {
    data: { etcd: words.slice(0, 300), call },
  });
}

/** A connection to the local etcd that could not be made, or broke. */
export function connectionError(error: unknown, call: string): MicrocephError {
  const cause = error as NodeJS.ErrnoException;
  const words = cause.code ?? cause.message;
  return new MicrocephError("NO_QUORUM", `the local etcd does not answer (${call}: ${words})`, {
    data: { call, errno: cause.code ?? null },
    cause: error,
  });
}
