const multipliers: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
  pib: 2 ** 50,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  pb: 1e15,
  // As MicroCeph takes them: powers of ten.
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  p: 1e15,
};

/** A number with a unit of size or none (`100GiB`, `1.5TB`, `42`), in bytes; undefined when it is none. */
export function parseSize(text: string): number | undefined {
  const match = /^([+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18}))([a-zA-Z]{0,3})$/.exec(text);
  const multiplier = multipliers[(match?.[2] ?? "?").toLowerCase()];
  if (match === null || multiplier === undefined) return undefined;
  return Number(match[1]) * multiplier;
}
