/** A length of time for people, at most two units: `45 s`, `3 min`, `23 h 12 min`, `5 d 2 h`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return join(`${hours} h`, minutes % 60, "min");
  return join(`${Math.floor(hours / 24)} d`, hours % 24, "h");
}

function join(first: string, rest: number, unit: string): string {
  return rest === 0 ? first : `${first} ${rest} ${unit}`;
}

/** How long ago a time was, seen from another: `now`, `12 s ago`. */
export function ago(time: string, asOf: string): string {
  const ms = Date.parse(asOf) - Date.parse(time);
  return ms < 2000 ? "now" : `${duration(ms)} ago`;
}

/** What is left until a time: `23 h 12 min`, or undefined when it passed. */
export function left(until: string, asOf: string): string | undefined {
  const ms = Date.parse(until) - Date.parse(asOf);
  return ms > 0 ? duration(ms) : undefined;
}

const binaryUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** Bytes as LXD writes them: `0B`, `20.00GiB`. */
export function bytes(count: number, gap = ""): string {
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < binaryUnits.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(2)}${gap}${binaryUnits[unit]}`;
}

/** `1 disk`, `3 disks`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** Services as MicroCeph orders them: plain ones, then grouped ones, then osd. */
export function serviceOrder(services: readonly string[]): string[] {
  const rank = (service: string): number => (service === "osd" ? 2 : service.includes(".") ? 1 : 0);
  return [...new Set(services)].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/** Order of names with numbers in them: n2 before n10. (A collator would cost 7 ms of start-up.) */
export function naturally(a: string, b: string): number {
  const [left, right] = [chunks(a), chunks(b)];
  for (let at = 0; at < Math.min(left.length, right.length); at += 1) {
    const [one, other] = [left[at] ?? "", right[at] ?? ""];
    if (one === other) continue;
    const order = Number(one) - Number(other);
    if (!Number.isNaN(order) && order !== 0) return order;
    return one < other ? -1 : 1;
  }
  return left.length - right.length;
}

/** Runs of digits and of everything else. */
function chunks(text: string): readonly string[] {
  return text.match(/[0-9]+|[^0-9]+/g) ?? [];
}
