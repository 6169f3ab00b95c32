import { mkdir } from "node:fs/promises";
import { pino } from "pino";
import { isMicrocephError, MicrocephError, messageOf } from "../errors/microceph-error.ts";
import { installedVersions } from "../version/installed.ts";
import { Daemon } from "./daemon.ts";
import { daemonUsage, parseSettings } from "./settings.ts";

function say(text: string): void {
  process.stdout.write(text);
}

function fail(error: unknown): never {
  const coded = isMicrocephError(error);
  const code = coded ? ` [${error.code}]` : "";
  process.stderr.write(`Error: ${messageOf(error)}${code}\n${coded ? `Hint: ${error.remedy}\n` : ""}`);
  process.exit(coded ? error.exitCode : 1);
}

async function makeStateDir(stateDir: string): Promise<void> {
  try {
    await mkdir(stateDir, { recursive: true, mode: 0o755 });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (code === "EEXIST" || code === "ENOTDIR") {
      throw new MicrocephError("USAGE", `--state-dir ${stateDir} is not a directory`, { cause: error });
    }
    if (["EACCES", "EPERM", "EROFS"].includes(code)) {
      throw new MicrocephError("PERMISSION_DENIED", `may not make ${stateDir}`, { cause: error });
    }
    if (code === "ENOSPC" || code === "EDQUOT") {
      throw new MicrocephError("DISK_FULL", `no room for ${stateDir}`, { cause: error });
    }
    throw error;
  }
}

async function main(): Promise<void> {
  const parsed = parseSettings(process.argv.slice(2), process.env);
  if (parsed === "help") return say(daemonUsage);
  if (parsed === "version") return say(await installedVersions());
  const settings = parsed;
  const log = pino({ level: settings.logLevel, base: { node: settings.name } });
  await makeStateDir(settings.stateDir);
  let daemon = new Daemon(settings, { log, onReset });

  /** A node that was reset is another one: nothing of the former is left in memory either. */
  function onReset(): void {
    daemon
      .stop()
      .then(() => {
        daemon = new Daemon(settings, { log, onReset });
        return daemon.start();
      })
      .catch(fail);
  }

  const stop = (signal: string): void => {
    log.info({ signal }, "stopping");
    daemon.stop().then(
      () => process.exit(0),
      (error) => fail(error),
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  // A fault in one of many concurrent tasks must be loud, and a restart is always safe: crash-only.
  process.on("unhandledRejection", (error) => {
    log.fatal(
      { error: messageOf(error), stack: error instanceof Error ? error.stack : undefined },
      "unhandled",
    );
    process.exit(1);
  });
  await daemon.start();
}

main().catch(fail);
