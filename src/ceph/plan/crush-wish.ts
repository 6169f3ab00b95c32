import { z } from "zod";
import type { FailureDomain } from "./failure-domain.ts";

/** What operators want of the failure domain. */
export interface DomainWish {
  readonly level: FailureDomain | "auto";
  /** Whether a step down was confirmed: it makes copies share what they did not share before. */
  readonly downgrade: boolean;
}

/** Names of the settings in the cluster's document. */
export const crushSettings = { wish: "crush.failure-domain", consent: "crush.consent" } as const;

const wishSchema = z.object({ level: z.enum(["auto", "osd", "host", "rack"]), downgrade: z.boolean() });
const consentSchema = z.object({ bytes: z.number().nonnegative(), until: z.iso.datetime() });

const automatic: DomainWish = { level: "auto", downgrade: false };

/** Anything that cannot be read counts as no wish. */
export function parseDomainWish(text: string | undefined): DomainWish {
  return parsed(wishSchema, text) ?? automatic;
}

/** Bytes that may be moved at a time (ms since the epoch): what always may, or more by a consent that has not lapsed. */
export function allowedBytes(freeBytes: number, consent: string | undefined, now: number): number {
  const given = parsed(consentSchema, consent);
  if (given === undefined || Date.parse(given.until) <= now) return freeBytes;
  return Math.max(freeBytes, given.bytes);
}

function parsed<T>(schema: z.ZodType<T>, text: string | undefined): T | undefined {
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
