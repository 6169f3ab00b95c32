import { existsSync, type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import { messageOf } from "../../errors/microceph-error.ts";

/** Folders of /dev in which devices and their stable names come and go. */
const folders = ["", "disk", "disk/by-id", "disk/by-path", "mapper"];
/** Milliseconds that a burst of changes is given to end: udev makes a disk's names one after the other. */
const settleMs = 200;

/**
 * Tells when a device node or a stable name has come or gone: the kernel (devtmpfs) and udev write both into
 * /dev, and inotify tells of it. A hint: what is there is read anew.
 */
export class DiskWatch {
  readonly #dev: string;
  readonly #log: Logger;
  readonly #onChange: () => void;
  readonly #watchers = new Map<string, FSWatcher>();
  #timer: NodeJS.Timeout | undefined;
  #started = false;

  constructor(
    options: { readonly dev?: string },
    deps: { readonly log: Logger; readonly onChange: () => void },
  ) {
    this.#dev = options.dev ?? "/dev";
    this.#log = deps.log;
    this.#onChange = deps.onChange;
  }

  start(): void {
    this.#started = true;
    this.#watchAll();
  }

  stop(): void {
    this.#started = false;
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #watchAll(): void {
    for (const folder of folders) {
      const path = join(this.#dev, folder);
      const known = this.#watchers.get(path);
      if (known !== undefined && existsSync(path)) continue;
      known?.close();
      try {
        const watcher = watch(path, { persistent: false }, () => this.#changed());
        const drop = (): void => {
          watcher.close();
          if (this.#watchers.get(path) === watcher) this.#watchers.delete(path);
        };
        // A folder that goes takes its watch with it; it is watched again when it is back.
        watcher.on("error", drop);
        watcher.on("close", drop);
        this.#watchers.set(path, watcher);
      } catch (error) {
        // Most have no /dev/disk until the first disk with a name.
        if ((error as NodeJS.ErrnoException).code === "ENOENT") continue;
        this.#log.warn({ path, error: messageOf(error) }, "a folder of devices cannot be watched");
      }
    }
  }

  #changed(): void {
    if (!this.#started) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#watchAll();
      this.#onChange();
    }, settleMs).unref();
  }
}
