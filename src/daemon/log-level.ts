import type { LogLevel } from "../api/contract/ceph-config.ts";
import { MicrocephError } from "../errors/microceph-error.ts";
import type { Json } from "../ids/json.ts";

/** MicroCeph's names with its numbers, and what the log itself calls them. */
const levels = [
  { name: "panic", log: "fatal" },
  { name: "fatal", log: "fatal" },
  { name: "error", log: "error" },
  { name: "warning", log: "warn" },
  { name: "info", log: "info" },
  { name: "debug", log: "debug" },
  { name: "trace", log: "trace" },
] as const;
const storeKey = "log-level";

interface Deps {
  readonly log: { level: string };
  readonly store: { get(key: string): Json | undefined; put(key: string, value: Json): void };
}

export function getLogLevel({ log }: Pick<Deps, "log">): LogLevel {
  return {
    level: Math.max(
      0,
      levels.findLastIndex((one) => one.log === log.level),
    ),
  };
}

/** From now on, also after the daemon's next start. Throws USAGE. */
export function setLogLevel({ log, store }: Deps, asked: string | number): LogLevel {
  const found = levels.findIndex(({ name }, number) => name === asked || String(number) === String(asked));
  const level = levels[found];
  if (level === undefined) {
    const names = levels.map(({ name }, number) => `${number} (${name})`).join(", ");
    throw new MicrocephError("USAGE", `"${String(asked).slice(0, 20)}" is no log level: ${names}`);
  }
  log.level = level.log;
  store.put(storeKey, found);
  return { level: found };
}

/** What an operator set before this start wins over the daemon's own options. */
export function restoreLogLevel({ log, store }: Deps): void {
  const level = levels[Number(store.get(storeKey) ?? Number.NaN)];
  if (level !== undefined) log.level = level.log;
}
