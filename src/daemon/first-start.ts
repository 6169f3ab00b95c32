import { readFileSync } from "node:fs";
import { z } from "zod";
import type { Json } from "../ids/json.ts";

const kept = z.object({ boot: z.string(), at: z.number() });
const key = "first-start";

export interface StartStore {
  get(key: string): Json | undefined;
  put(key: string, value: Json): void;
}

/** The kernel's id of this boot (random(4)); empty where there is none. */
export function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}

/**
 * When the daemon was first started since this boot, in milliseconds since the epoch: from here the window
 * for claims counts, so that a restart of the daemon does not open it again and a reboot does.
 */
export function firstStart(store: StartStore, boot: string, now: number): number {
  const before = kept.safeParse(store.get(key));
  if (boot !== "" && before.success && before.data.boot === boot && before.data.at <= now)
    return before.data.at;
  store.put(key, { boot, at: now });
  return now;
}
