import { isErrorCode } from "../errors/codes.ts";
import { type ErrorData, isMicrocephError, MicrocephError, messageOf } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";
import type { Envelope, ErrorEnvelope } from "./contract/envelope.ts";

export function syncReply(metadata: unknown): Envelope {
  return {
    type: "sync",
    status: "Success",
    status_code: 200,
    operation: "",
    error_code: 0,
    error: "",
    metadata,
  };
}

export function asyncReply(job: { readonly id: string }): Envelope {
  return {
    type: "async",
    status: "Operation created",
    status_code: 100,
    operation: `/1.0/jobs/${job.id}`,
    error_code: 0,
    error: "",
    metadata: job,
  };
}

export function errorReply(error: MicrocephError): ErrorEnvelope {
  return {
    type: "error",
    status: "",
    status_code: 0,
    operation: "",
    error_code: error.httpStatus,
    error: error.message,
    metadata: { code: error.code, remedy: error.remedy, data: plainJson(error.data) },
  };
}

/** Error data as JSON; what cannot be written as JSON is left out. */
function plainJson(data: ErrorData): { readonly [key: string]: Json } {
  try {
    return JSON.parse(JSON.stringify(data));
  } catch {
    return {};
  }
}

/**
 * Whatever a request threw, as a coded error: ours as it is, a request that validation or the HTTP parser
 * refused as USAGE, anything else as INTERNAL.
 */
export function codedError(error: unknown): MicrocephError {
  if (isMicrocephError(error)) return error;
  const { validation, validationContext, statusCode } = (error ?? {}) as Partial<FastifyFault>;
  if (Array.isArray(validation)) {
    const problems = validation.map((problem) => issueText(validationContext ?? "request", problem));
    return new MicrocephError("USAGE", problems.slice(0, 5).join("; ") || messageOf(error), { cause: error });
  }
  if (typeof statusCode === "number" && statusCode >= 400 && statusCode < 500) {
    return new MicrocephError("USAGE", messageOf(error), { cause: error });
  }
  return new MicrocephError("INTERNAL", messageOf(error), { cause: error });
}

/** The parts of a fault by fastify that matter here. */
interface FastifyFault {
  readonly validation: readonly { readonly instancePath?: string; readonly message?: string }[];
  readonly validationContext: string;
  readonly statusCode: number;
}

function issueText(where: string, problem: FastifyFault["validation"][number]): string {
  const at = (problem.instancePath ?? "").split("/").filter(Boolean).join(".");
  const place = where === "querystring" ? "query" : where;
  return `${place}${at ? ` ${at}` : ""}: ${problem.message ?? "not valid"}`;
}

/** The error that an error envelope carries; a code from a newer daemon becomes INTERNAL, keeping its name. */
export function errorFromEnvelope(envelope: Envelope): MicrocephError {
  const detail = (envelope.metadata ?? {}) as { code?: unknown; data?: unknown };
  const data = typeof detail.data === "object" && detail.data !== null ? (detail.data as ErrorData) : {};
  if (isErrorCode(detail.code)) return new MicrocephError(detail.code, envelope.error, { data });
  return new MicrocephError("INTERNAL", envelope.error || `request failed with ${envelope.error_code}`, {
    data: { ...data, code: String(detail.code) },
  });
}
