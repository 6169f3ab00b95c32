// What the lab's own tests run in place of microcephd: an API on the control socket, and children that carry
// the names of the real ones, so that the lab's verbs can be seen to touch the right processes.
import { spawn } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    "state-dir": { type: "string" },
    "extra-ceph-config": { type: "string" },
    admission: { type: "string" },
    expect: { type: "string" },
  },
});
const stateDir = values["state-dir"] ?? "/var/lib/microceph";
if (values.admission === "closed") {
  process.stderr.write("stand-in: told to fail\n");
  process.exit(1);
}

mkdirSync(stateDir, { recursive: true });
const socket = join(stateDir, "control.socket");
rmSync(socket, { force: true });

// Dies with the daemon, as etcd does.
spawn("setpriv", ["--pdeathsig", "KILL", "sh", "-c", "exec sleep 100000"], {
  stdio: "ignore",
  argv0: "setpriv",
});
for (const name of ["etcd", "ceph"]) {
  spawn("bash", ["-c", `exec -a ${name} setpriv --pdeathsig KILL bash -c 'exec -a ${name} sleep 100001'`], {
    stdio: "ignore",
  });
}
// Outlives it, as a supervised OSD does.
spawn("setsid", ["sh", "-c", "(bash -c 'while :; do (exec -a ceph-osd sleep 100002); done' &)"], {
  stdio: "ignore",
});

createServer(async (request, reply) => {
  if (request.url === "/write") {
    await writeFile(join(stateDir, "written.new"), "");
    await rename(join(stateDir, "written.new"), join(stateDir, "written"));
  }
  reply.setHeader("content-type", "application/json");
  reply.end(JSON.stringify({ path: request.url, args: values, pid: process.pid, now: Date.now() }));
}).listen(socket);
