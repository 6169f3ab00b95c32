const firstMs = 200;
const cappedMs = 30_000;

/**
 * Time until the next dial after `failures` in a row: doubling from 0.2 s to 30 s, for ever, each shortened at
 * random by up to a half, so that nodes that lost each other together don't dial in step.
 */
export function redialDelayMs(failures: number, random: number): number {
  const full = Math.min(cappedMs, firstMs * 2 ** Math.min(failures, 16));
  return full * (1 - random / 2);
}

/** Where a member can be dialled. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

const mostEndpoints = 12;

/** Endpoints in the order to try: the one that worked last, fresh hints, what is on record; none twice. */
export function endpointsToTry(
  lastGood: Endpoint | undefined,
  hinted: readonly Endpoint[],
  recorded: readonly Endpoint[],
): Endpoint[] {
  const known = [...hinted, ...recorded];
  const first = known.filter((one) => sameEndpoint(one, lastGood));
  const unique = new Map([...first, ...known].map((one) => [`${one.address} ${one.port}`, one]));
  return [...unique.values()].slice(0, mostEndpoints);
}

function sameEndpoint(a: Endpoint, b: Endpoint | undefined): boolean {
  return a.address === b?.address && a.port === b.port;
}
