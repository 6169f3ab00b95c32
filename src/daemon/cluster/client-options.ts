/** Settings of the document that say what clients on a host are told: `client-config.HOST.KEY`. */
export const clientOptionPrefix = "client-config.";
/** Stands for all hosts; no handle is called so. */
export const allHosts = "_all";

export interface ClientOption {
  readonly host: string;
  readonly key: string;
  readonly value: string;
}

/** Another node may have written anything: what may go into ceph.conf is looked at here. */
export function clientOptions(settings: Readonly<Record<string, string>>): ClientOption[] {
  return Object.entries(settings).flatMap(([name, value]) => {
    if (!name.startsWith(clientOptionPrefix)) return [];
    const at = name.lastIndexOf(".");
    const [host, key] = [name.slice(clientOptionPrefix.length, at), name.slice(at + 1)];
    const valid =
      at > clientOptionPrefix.length && /^[a-z_]{1,64}$/.test(key) && /^[A-Za-z0-9]{1,32}$/.test(value);
    return valid ? [{ host, key, value }] : [];
  });
}

/** What clients on the host of this handle are told: its own word wins over the word for all. */
export function clientOptionsOf(
  settings: Readonly<Record<string, string>>,
  handle: string,
): Record<string, string> {
  const options = clientOptions(settings);
  const told = (place: string): [string, string][] =>
    options.flatMap(({ host, key, value }) => (host === place ? [[key, value]] : []));
  return Object.fromEntries([...new Map([...told(allHosts), ...told(handle)])].sort());
}
