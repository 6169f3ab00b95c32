/** Exit codes are the product's: 1 failed, 2 usage, 3 not ready or missing, 4 refused for safety. */
const codes = {
  USAGE: 2,
  NEEDS_ROOT: 3,
  MISSING_PROGRAM: 3,
  LAB_NOT_UP: 3,
  NODE_UNKNOWN: 2,
  NODE_EXISTS: 4,
  NODE_DOWN: 3,
  NODE_STATE_SHARED: 3,
  ADDRESS_IN_USE: 4,
  NUMBER_TAKEN: 4,
  LOCK_TIMEOUT: 3,
  DAEMON_NOT_READY: 1,
  PROGRAM_FAILED: 1,
  DEADLINE_EXCEEDED: 1,
} as const;

export type LabErrorCode = keyof typeof codes;

/** What the lab refuses or fails at, with a stable code and a text that says what to do. */
export class LabError extends Error {
  readonly code: LabErrorCode;

  constructor(code: LabErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "LabError";
    this.code = code;
  }

  get exitCode(): number {
    return codes[this.code];
  }
}
