import { type ErrorCode, errorCodes } from "./codes.ts";

/** Exit codes of the CLI: 0 ok, 1 failed, 2 usage, 3 not ready, 4 refused for safety. */
export type ExitCode = 0 | 1 | 2 | 3 | 4;

/** Structured facts that go with an error; never secrets. */
export type ErrorData = Readonly<Record<string, unknown>>;

/**
 * The one error class of the product: a stable code, what happened (with the node, where one is
 * concerned) and structured data. Meaning, remedy, HTTP status and exit code come from the registry.
 */
export class MicrocephError extends Error {
  readonly code: ErrorCode;
  readonly data: ErrorData;

  constructor(code: ErrorCode, message: string, options: { data?: ErrorData; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "MicrocephError";
    this.code = code;
    this.data = options.data ?? {};
  }

  get remedy(): string {
    return errorCodes[this.code].remedy;
  }

  get exitCode(): ExitCode {
    return errorCodes[this.code].exit;
  }

  get httpStatus(): number {
    return errorCodes[this.code].http;
  }
}

export function isMicrocephError(error: unknown, code?: ErrorCode): error is MicrocephError {
  return error instanceof MicrocephError && (code === undefined || error.code === code);
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
