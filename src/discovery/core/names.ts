const encoder = new TextEncoder();

/** Longest label and name of the DNS in bytes (RFC 1035 section 2.3.4). */
export const maxLabelBytes = 63;
export const maxNameBytes = 255;

/** Names under which service types are listed (RFC 6763 section 9). */
export const serviceTypeDomain = "_services._dns-sd._udp.local";

export function byteLength(text: string): number {
  return encoder.encode(text).length;
}

/** The DNS compares names without regard to the case of ASCII letters only (RFC 6762 section 16). */
export function fold(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

export function sameName(one: string, other: string): boolean {
  return one === other || fold(one) === fold(other);
}

/**
 * Whether a name of the wire can be shown and asked for again. Control characters could fool a terminal, and
 * a replacement character means that the bytes were no UTF-8, so that the name cannot be sent back unchanged.
 */
export function isCleanName(name: string): boolean {
  if (byteLength(name) > maxNameBytes || name.split(".").some(isLongLabel)) return false;
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x20 || (code >= 0x7f && code < 0xa0) || code === 0xfffd) return false;
  }
  return true;
}

function isLongLabel(label: string): boolean {
  return byteLength(label) > maxLabelBytes;
}

/**
 * The instance's label in `<instance>.<service>.local`, or undefined if the name is not of this service.
 * The packet library joins labels with dots and cannot tell them from dots inside a label, so an instance
 * with a dot could never be asked for: it is left out.
 */
export function instanceLabel(name: string, serviceName: string): string | undefined {
  const suffix = `.${serviceName}`;
  if (!fold(name).endsWith(fold(suffix))) return undefined;
  const label = name.slice(0, name.length - suffix.length);
  return label === "" || label.includes(".") ? undefined : label;
}

/** The host of `<host>.local`, or undefined if the name lies in another domain. */
export function hostLabel(name: string): string | undefined {
  const host = /^(.+)\.local$/i.exec(name)?.[1];
  return host;
}

/** The next name after a conflict: `n1 abc`, `n1 abc (2)`, `n1 abc (3)` … (RFC 6763 appendix D). */
export function nextInstance(instance: string): string {
  const match = /^(.*) \((\d{1,9})\)$/s.exec(instance);
  const base = match?.[1] ?? instance;
  const suffix = ` (${match?.[2] === undefined ? 2 : Number(match[2]) + 1})`;
  return cutToBytes(base, maxLabelBytes - byteLength(suffix)) + suffix;
}

/** The next host name after a conflict: `n1`, `n1-2`, `n1-3` …, as avahi counts. */
export function nextHost(host: string, first: string): string {
  const count = host === first ? 1 : Number(host.slice(host.lastIndexOf("-") + 1));
  const suffix = `-${count + 1}`;
  return cutToBytes(first, maxLabelBytes - suffix.length) + suffix;
}

/** The longest prefix of whole characters that fits. */
export function cutToBytes(text: string, bytes: number): string {
  let kept = "";
  let used = 0;
  for (const character of text) {
    used += byteLength(character);
    if (used > bytes) break;
    kept += character;
  }
  return kept;
}
