// Loaded into a lab's daemon before its own code (node --import): sees every step the daemon takes on something
// that outlives it, writes it down, and ends the daemon with SIGKILL at the step it is told. The steps are seen
// where the program meets Node's own modules, so the product has no code for it and a new write is a step by
// itself. Reads are no steps: a crash before a read leaves what the crash before the next write leaves.
import type { ChildProcess } from "node:child_process";
import { appendFileSync, readFileSync, rmSync } from "node:fs";
import type { ClientRequest } from "node:http";
import { createRequire, syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { pathStep, programStep, storeStep, writesToCeph, writesToEtcd } from "./step-names.ts";

const folder = process.env.MICROCEPH_LAB_STEPS ?? "";
// What the daemon starts is not watched.
delete process.env.NODE_OPTIONS;

let order = "";
let count = 0;
let target = Number.NaN;

/** The daemon is about to do this, or has just had the answer to it. */
function step(name: string): void {
  const said = read(join(folder, "crash-at"));
  if (said !== order) {
    order = said;
    count = 0;
    target = said === "" ? Number.NaN : Number(said.split(" ")[0]);
  }
  count += 1;
  appendFileSync(join(folder, "log"), `${order === "" ? "-" : count}\t${name}\n`);
  if (count !== target) return;
  appendFileSync(join(folder, "crashed"), `${count}\t${name}\n`);
  // Once: the next run of the daemon must get past it.
  rmSync(join(folder, "crash-at"));
  process.kill(process.pid, "SIGKILL");
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

type Module = Record<string, (...args: unknown[]) => unknown>;
const require = createRequire(import.meta.url);

/** Put a step before a function. */
function watch(module: Module, name: string, describe: (args: unknown[]) => string | undefined): void {
  const original = module[name];
  if (original === undefined) throw new Error(`there is no ${name} to watch`);
  module[name] = function (this: unknown, ...args: unknown[]): unknown {
    const what = describe(args);
    if (what !== undefined) step(what);
    return original.apply(this, args);
  };
}

for (const name of ["rename", "mkdir", "rm", "symlink", "link"]) {
  watch(require("node:fs/promises") as Module, name, (args) => pathStep(name, args));
}
for (const name of ["renameSync", "mkdirSync"]) {
  watch(require("node:fs") as Module, name, (args) => pathStep(name, args));
}

const sqlite = require("node:sqlite") as {
  DatabaseSync: { prototype: DatabaseSync };
  StatementSync: { prototype: StatementSync };
};
const databaseOf = new WeakMap<object, DatabaseSync>();
/** What the transaction in progress is about to make durable. */
let uncommitted: string[] = [];
const { prepare, exec } = sqlite.DatabaseSync.prototype;
sqlite.DatabaseSync.prototype.prepare = function (sql, ...rest): StatementSync {
  const statement = prepare.call(this, sql, ...rest);
  databaseOf.set(statement, this);
  return statement;
};
sqlite.DatabaseSync.prototype.exec = function (sql): void {
  if (sql === "BEGIN IMMEDIATE") uncommitted = [];
  if (sql === "COMMIT" && uncommitted.length > 0) step(`store: ${uncommitted.join(", ")}`);
  exec.call(this, sql);
};
const { run } = sqlite.StatementSync.prototype;
sqlite.StatementSync.prototype.run = function (this: StatementSync, ...values: never[]) {
  const what = storeStep(this.sourceSQL, values);
  if (databaseOf.get(this)?.isTransaction === true) uncommitted.push(what);
  else step(`store: ${what}`);
  return Reflect.apply(run, this, values);
} as StatementSync["run"];

const processes = require("node:child_process") as { spawn: (...args: unknown[]) => ChildProcess };
const { spawn } = processes;
processes.spawn = (...args) => {
  const command = [String(args[0]), ...(Array.isArray(args[1]) ? args[1].map(String) : [])];
  const what = programStep(command);
  if (what !== undefined) step(what);
  const child = spawn(...args);
  if (what !== undefined) setImmediate(() => step(`${what}: started`));
  if (what !== undefined) child.once("exit", () => step(`${what}: ended`));
  if (what === undefined && command.includes("ceph") && child.stdin) {
    const { stdin } = child;
    const write = stdin.write.bind(stdin);
    stdin.write = ((text: unknown, ...rest: never[]): boolean => {
      const words = writesToCeph(String(text));
      if (words !== undefined) step(`ceph ${words}`);
      const sent = write(text as string, ...rest);
      if (words !== undefined) setImmediate(() => step(`ceph ${words}: sent`));
      return sent;
    }) as typeof stdin.write;
  }
  return child;
};

const http = require("node:http") as { request: (...args: unknown[]) => ClientRequest };
const { request } = http;
http.request = (...args) => {
  const path = (args[0] as { path?: string } | undefined)?.path ?? "";
  const what = writesToEtcd(path);
  if (what !== undefined) step(`etcd ${what}`);
  const call = request(...args);
  if (what !== undefined) call.once("response", () => step(`etcd ${what}: answered`));
  return call;
};
syncBuiltinESMExports();
