import { isIP } from "node:net";

/** Order in which the addresses of one node are dialled: IPv4, then IPv6, then link-local ones. */
export function compareForDialling(a: string, b: string): number {
  return rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0);
}

function rank(address: string): number {
  const plain = address.split("%")[0] ?? "";
  if (plain.startsWith("169.254.") || /^fe[89ab]/i.test(plain)) return 2;
  return isIP(plain) === 4 ? 0 : 1;
}
