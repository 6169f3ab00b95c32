import { chmod, chown, lstat, readFile, rename, unlink } from "node:fs/promises";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { MicrocephError, messageOf } from "../errors/microceph-error.ts";

/** Members of this group may use the socket; root's group where it does not exist. */
const socketGroup = "microceph";
/** sun_path holds 108 bytes with its terminating zero (unix(7)); the temporary name is 12 bytes longer. */
const longestPath = 95;

/** Whether someone answers on a Unix socket. */
export function isSocketAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    const settle = (alive: boolean): void => {
      probe.destroy();
      resolve(alive);
    };
    probe.setTimeout(1000, () => settle(true));
    probe.once("connect", () => settle(true));
    // A full backlog (EAGAIN) or a closed door (EACCES) still means that someone listens.
    probe.once("error", (error: NodeJS.ErrnoException) =>
      settle(error.code === "EAGAIN" || error.code === "EACCES" || error.code === "EPERM"),
    );
  });
}

/**
 * Listen on a Unix socket with mode 0660. A socket that nobody answers on is replaced; it appears under
 * its name only when its rights are set. Throws DAEMON_RUNNING, PORT_IN_USE, PATH_TOO_LONG or what listening throws.
 */
export async function openControlSocket(
  path: string,
  listen: (path: string) => Promise<void>,
): Promise<ControlSocket> {
  if (Buffer.byteLength(path) > longestPath) {
    throw new MicrocephError("PATH_TOO_LONG", `the path is too long for a socket: ${path}`);
  }
  const existing = await lstat(path).catch(absent);
  if (existing && !existing.isSocket()) {
    throw new MicrocephError("PORT_IN_USE", `${path} exists and is no socket; move it away`, {
      data: { path },
    });
  }
  if (existing && (await isSocketAlive(path))) {
    throw new MicrocephError("DAEMON_RUNNING", `another microcephd answers on ${path}`, { data: { path } });
  }
  const temporary = join(dirname(path), `.ctl.${process.pid}`);
  await unlink(temporary).catch(absent);
  try {
    await listen(temporary);
    await chmod(temporary, 0o660);
    const group = await groupIdOf(socketGroup);
    if (group !== undefined && process.getuid?.() === 0) await chown(temporary, 0, group).catch(notMapped);
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw socketError(error, path);
  }
  return new ControlSocket(path, (await lstat(path)).ino);
}

/** The socket file this process made. */
export class ControlSocket {
  readonly path: string;
  readonly #inode: number;

  constructor(path: string, inode: number) {
    this.path = path;
    this.#inode = inode;
  }

  /** Unlink the file, unless another daemon put its own there since. */
  async remove(): Promise<void> {
    const now = await lstat(this.path).catch(absent);
    if (now?.ino === this.#inode) await unlink(this.path).catch(absent);
  }
}

/** Number of a local group, from the text of /etc/group. */
export function findGroup(groupFile: string, name: string): number | undefined {
  for (const line of groupFile.split("\n")) {
    const [group, , id] = line.split(":");
    if (group === name && id !== undefined && /^[0-9]+$/.test(id)) return Number(id);
  }
  return undefined;
}

async function groupIdOf(name: string): Promise<number | undefined> {
  return findGroup(await readFile("/etc/group", "utf8").catch(() => ""), name);
}

function socketError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return new MicrocephError("PERMISSION_DENIED", `may not make ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new MicrocephError("DISK_FULL", `no room for ${path}`, { cause: error });
  }
  return error;
}

/** In a user namespace without this group the socket stays root's alone. */
function notMapped(error: NodeJS.ErrnoException): void {
  if (error.code !== "EINVAL") throw error;
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
  return undefined;
}
