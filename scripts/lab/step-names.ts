import { existsSync } from "node:fs";
import { basename } from "node:path";

/** Programs that only read. */
const readers = new Set(["lsblk", "blkid", "findmnt", "losetup", "df", "getent"]);

/** Ceph's commands that only read. */
const reads =
  /^(osd (stat|tree|df|dump|pool ls|crush rule dump|ls|find|metadata)|quorum_status|mon (dump|stat|getmap)|health|status|mgr (stat|dump|module ls)|mds stat|fs (ls|dump)|config (dump|get)|auth (get|ls)|pg |df|time-sync-status|versions?)( |$)/;

/** Calls of etcd's gateway that change something; renewals of the lease are left out: they come with time alone. */
const etcdWrites =
  /^\/v3\/(kv\/(?:txn|put|deleterange)|lease\/(?:grant|revoke)|cluster\/member\/(?:add|promote|remove))$/;

/** Names that differ from run to run, such as uuids and temporary names, as `*`. */
function plain(text: string): string {
  return text
    .replace(/^\/var\/lib\/microceph\//, "")
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22,}/g, "*")
    .replaceAll(/12D3KooW[A-Za-z0-9]+/g, "*")
    .replaceAll(/[0-9a-f]{8,}/g, "*");
}

/** A change of the file system; undefined for one that finds everything as it is to be. */
export function pathStep(verb: string, args: readonly unknown[]): string | undefined {
  const what = verb.replace("Sync", "");
  // A link and a rename make their second path.
  const path = String(["rename", "symlink", "link"].includes(what) ? args[1] : args[0]);
  if ((what === "mkdir" && existsSync(path)) || (what === "rm" && !existsSync(path))) return undefined;
  return `${what} ${plain(path)}`;
}

/** A write to the store: what is changed, and the key if it is one of ours. */
export function storeStep(sql: string, values: readonly unknown[]): string {
  const table = /(?:INTO|FROM|UPDATE) ([a-z_]+)/i.exec(sql)?.[1] ?? "?";
  const verb = sql.trim().split(/\s/, 1)[0]?.toLowerCase() ?? "";
  const key = table === "kv" && typeof values[0] === "string" ? ` ${plain(values[0])}` : "";
  return `${verb} ${table}${key}`;
}

/** The start of a program that changes something; undefined for one that only reads. */
export function programStep(command: readonly string[]): string | undefined {
  const bare = command[0] === "setpriv" ? command.slice(command[3] === "--" ? 4 : 3) : command;
  const program = basename(bare[0] ?? "");
  if (readers.has(program) || bare.includes("--version")) return undefined;
  if (program === "sh") return `start ${basename(bare.find((word) => word.endsWith(".sh")) ?? program)}`;
  if (program === "ceph") {
    const words = bare.slice(bare.indexOf("--admin_socket=") + 1).filter((word) => !word.startsWith("-"));
    const text = words.join(" ");
    return words.length === 0 || reads.test(text) ? undefined : `ceph ${plain(text)}`;
  }
  const mode = bare.find((word) => /^--(mkfs|create|mkkey)$/.test(word));
  return `start ${program}${mode === undefined ? "" : ` ${mode}`}`;
}

/** The words of a line given to the long-lived `ceph`, unless it only reads. */
export function writesToCeph(line: string): string | undefined {
  const text = (line.split("\n")[0] ?? "").replaceAll('"', "").trim();
  return text === "" || reads.test(text) ? undefined : plain(text).split(" ").slice(0, 6).join(" ");
}

export function writesToEtcd(path: string): string | undefined {
  return etcdWrites.exec(path)?.[1];
}
