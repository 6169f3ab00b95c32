import { spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { isMicrocephError } from "../../errors/microceph-error.ts";
import { runProgram } from "../../process/run-program.ts";

/** A supervisor that is to be started. */
export interface Supervisor {
  readonly unit: string;
  readonly argv: readonly [string, ...string[]];
  /** Seconds that its program may take to stop, and that it has beyond that for itself. */
  readonly stopSeconds: number;
}

/** Starts a supervisor so that it outlives the daemon. Resolves once it is on its way. */
export type StartSupervisor = (supervisor: Supervisor) => Promise<void>;

const environment = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C" };

/** As a process in a session of its own, without our standard streams. */
export const startDetached: StartSupervisor = ({ argv: [program, ...args] }) =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: "/", detached: true, stdio: "ignore", env: environment });
    child.once("spawn", resolve);
    child.once("error", reject);
    child.unref();
  });

const systemdMs = 20_000;
/** The service of a supervisor that has just ended keeps its name for a moment. */
const nameTakenMs = 10_000;
const nameTaken = /already (?:loaded|exists)/;

/**
 * As a service of systemd, with a control group of its own in `microceph.slice`. It is gone with a boot, because the
 * daemon decides what runs again, and in which order. systemd stops the supervisor only, which stops its program: one
 * whose supervisor was killed runs on and is taken over, as everywhere. When the machine goes down, the daemon goes
 * first, so that it starts nothing anew. See systemd-run(1), systemd.service(5), systemd.exec(5).
 */
export function startInSystemd(run: typeof runProgram = runProgram): StartSupervisor {
  return async ({ unit, argv, stopSeconds }) => {
    const properties = [
      "Type=exec",
      "KillMode=process",
      `TimeoutStopSec=${stopSeconds}`,
      "LimitNOFILE=1048576",
      "TasksMax=infinity",
      "After=local-fs.target network.target",
      "Before=microcephd.service",
    ];
    const args = [
      ...["--quiet", "--collect", "--slice=microceph.slice", `--unit=${serviceName(unit)}`],
      `--description=MicroCeph Mesh: ${unit}`,
      ...properties.map((property) => `--property=${property}`),
      ...Object.entries(environment).map(([name, value]) => `--setenv=${name}=${value}`),
      ...["--", ...argv],
    ];
    const end = performance.now() + nameTakenMs;
    for (;;) {
      try {
        await run("systemd-run", args, { deadlineMs: systemdMs });
        return;
      } catch (error) {
        const isTaken =
          isMicrocephError(error, "PROGRAM_FAILED") && nameTaken.test(String(error.data.stderr));
        if (!isTaken || performance.now() > end) throw error;
        await delay(100);
      }
    }
  };
}

/** `osd.3` is an instance of what systemd would call a template: `microceph-osd@3.service`. */
export function serviceName(unit: string): string {
  const [type = "", instance] = unit.split(/\.(.*)/s);
  return instance === undefined ? `microceph-${type}.service` : `microceph-${type}@${instance}.service`;
}
