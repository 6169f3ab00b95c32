import type { ServiceAnnouncement } from "../service.ts";
import { cutToBytes, maxLabelBytes } from "./names.ts";
import type { Identity } from "./record-set.ts";
import { encodeText } from "./text-record.ts";

/**
 * Names and data as the DNS can carry them. Dots in the instance become hyphens (the packet library would
 * split the label there), of the host only the first label counts, what is too long is cut.
 *
 * Throws a TypeError for an empty name, a bad port or a TXT record that does not fit.
 */
export function announcedIdentity(announcement: ServiceAnnouncement, serviceName: string): Identity {
  const { instance, host, port, txt } = announcement;
  if (!Number.isInteger(port) || port < 1 || port > 0xffff) throw new TypeError(`not a port: ${port}`);
  return {
    serviceName,
    instance: label(instance.replaceAll(".", "-"), "instance"),
    host: label(host.split(".")[0] ?? "", "host name"),
    port,
    text: encodeText(txt),
  };
}

function label(text: string, what: string): string {
  const printable = text.replace(/\p{Cc}/gu, " ").trim();
  if (printable === "") throw new TypeError(`the ${what} is empty`);
  return cutToBytes(printable, maxLabelBytes);
}
