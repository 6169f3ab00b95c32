import { MicrocephError } from "../errors/microceph-error.ts";

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Seconds of a length of time such as `90s`, `30m`, `1h30m`, `7d`; a bare number is seconds. Throws USAGE. */
export function parseDuration(text: string): number {
  const match = /^[0-9]+$/.test(text) ? [`${text}s`] : text.match(/[0-9]+[smhdw]/g);
  if (!match || (match.join("") !== text && match[0] !== `${text}s`)) refuse(text);
  const seconds = match.reduce(
    (sum, part) => sum + Number(part.slice(0, -1)) * (unitSeconds[part.slice(-1)] ?? 0),
    0,
  );
  if (!(seconds >= 1 && seconds <= 10 * 366 * 86_400)) refuse(text);
  return seconds;
}

function refuse(text: string): never {
  throw new MicrocephError("USAGE", `"${text.slice(0, 40)}" is no length of time: write 90s, 30m, 12h or 7d`);
}
