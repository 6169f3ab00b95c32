import { z } from "zod";
import type { DocumentStore } from "../../state/document/document-store.ts";

/** What maintenance has changed for a member, to be put back when it ends. */
const schema = z.object({
  /** ISO 8601; empty where it cannot be read. */
  at: z.string(),
  /** Whether it was maintenance that set the noout of the member's host. */
  noout: z.boolean(),
  /** OSDs that it stopped. */
  stopped: z.array(z.int()),
});
export type Maintained = z.infer<typeof schema>;

/** Name of the setting that remembers it. */
const settingOf = (handle: string): string => `maintenance.${handle}`;

/** Null for a member that is not in maintenance. */
export function maintainedOf(document: Pick<DocumentStore, "view">, handle: string): Maintained | null {
  const text = document.view().settings[settingOf(handle)];
  if (text === undefined) return null;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    // It says at least that somebody wanted it; what was changed is not known.
    return { at: "", noout: true, stopped: [] };
  }
}

export function setMaintained(
  document: Pick<DocumentStore, "setSetting">,
  handle: string,
  maintained: Maintained | null,
): void {
  document.setSetting(settingOf(handle), maintained === null ? null : JSON.stringify(maintained));
}

/** Whether a member is in maintenance: it is away on purpose, and nothing of it is placed elsewhere. */
export function isMaintained(
  { document }: { readonly document: Pick<DocumentStore, "view"> },
  handle: string,
): boolean {
  return maintainedOf(document, handle) !== null;
}
