import { copyFile, open, truncate } from "node:fs/promises";

export interface BoundedLogOptions {
  readonly path: string;
  /** Above this size the content moves to `<path>.1` and the file begins anew. */
  readonly maxBytes: number;
}

/**
 * A log file that a child writes by itself (append mode), so that a stopped parent never blocks it, and that
 * is kept within twice `maxBytes` by copying and truncating it.
 */
export class BoundedLog {
  readonly #options: BoundedLogOptions;

  constructor(options: BoundedLogOptions) {
    this.#options = options;
  }

  /** Run `use` with a descriptor in append mode, 0600, and close it afterwards. */
  async withDescriptor<T>(use: (descriptor: number) => T): Promise<T> {
    await this.bound();
    const file = await open(this.#options.path, "a", 0o600);
    try {
      return use(file.fd);
    } finally {
      await file.close();
    }
  }

  async bound(): Promise<void> {
    const { path, maxBytes } = this.#options;
    if ((await this.size()) <= maxBytes) return;
    await copyFile(path, `${path}.1`);
    await truncate(path, 0);
  }

  /** In bytes; 0 when there is no file. */
  async size(): Promise<number> {
    const file = await open(this.#options.path, "r").catch(() => undefined);
    if (!file) return 0;
    try {
      return (await file.stat()).size;
    } finally {
      await file.close();
    }
  }

  /** The last bytes written at or after an offset, at most `bytes` of them. */
  async tail(bytes: number, fromOffset = 0): Promise<string> {
    const file = await open(this.#options.path, "r").catch(() => undefined);
    if (!file) return "";
    try {
      const { size } = await file.stat();
      const start = Math.max(size - bytes, size >= fromOffset ? fromOffset : 0);
      const buffer = Buffer.alloc(Math.max(0, size - start));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, start);
      return buffer.subarray(0, bytesRead).toString("utf8");
    } finally {
      await file.close();
    }
  }
}
