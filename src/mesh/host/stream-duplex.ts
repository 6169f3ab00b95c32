import { Duplex } from "node:stream";
import type { Stream } from "@libp2p/interface";
import { MicrocephError } from "../../errors/microceph-error.ts";

const highWaterMark = 64 * 1024;

/**
 * A libp2p stream as a Node Duplex: back-pressure and half-close both ways. `destroy()` resets the stream, so
 * that the other end fails too; a reset from there, or the loss of the connection, destroys this end with an
 * error.
 */
export class StreamDuplex extends Duplex {
  readonly #stream: Stream;
  #wantsPause = false;
  #resuming = false;
  #remoteClosed = false;
  #closing = false;
  #waiting: (() => void) | undefined;

  constructor(stream: Stream) {
    super({
      allowHalfOpen: true,
      readableHighWaterMark: highWaterMark,
      writableHighWaterMark: highWaterMark,
    });
    this.#stream = stream;
    stream.addEventListener("remoteCloseWrite", () => {
      this.#remoteClosed = true;
    });
    stream.addEventListener("end", () => this.#onEnd());
    stream.addEventListener("close", ({ error }) => this.#onClose(error));
    const drained = (): void => queueMicrotask(() => this.#continueWriting());
    stream.addEventListener("drain", drained);
    stream.addEventListener("idle", drained);
    // Last: it makes the stream deliver what has come already.
    stream.addEventListener("message", ({ data }) => this.#onData(data));
    if (stream.status !== "open") {
      this.#onClose(new Error(`the stream is ${stream.status}`));
      return;
    }
    this.#remoteClosed = stream.remoteWriteStatus === "closed";
    if (stream.readableEnded) this.#onEnd();
  }

  #onData(data: Uint8Array | Iterable<Uint8Array>): void {
    if (this.destroyed) return;
    for (const chunk of data instanceof Uint8Array ? [data] : data) {
      if (!this.push(chunk)) this.#wantsPause = true;
    }
    if (!this.#resuming) this.#pauseIfWanted();
  }

  #pauseIfWanted(): void {
    if (!this.#wantsPause || this.#stream.readStatus !== "readable") return;
    this.#wantsPause = false;
    this.#stream.pause();
  }

  /** Comes when the connection is lost, too: only after the other end's FIN is it the end of the data. */
  #onEnd(): void {
    if (this.#remoteClosed && !this.readableEnded && !this.destroyed) this.push(null);
  }

  #onClose(error: Error | undefined): void {
    // The muxer reports a lost connection as a close without an error.
    if (error === undefined && this.#remoteClosed && this.#closing) return;
    const message = "the stream to the other node was cut";
    this.destroy(new MicrocephError("PEER_UNREACHABLE", message, { cause: error }));
  }

  override _read(): void {
    this.#wantsPause = false;
    if (this.#stream.readStatus !== "paused") return;
    // resume() delivers what was kept and only then tells the muxer to go on: a pause() in between would be
    // forgotten, and the buffer would grow until the stream is reset. So it waits until resume() is through.
    this.#resuming = true;
    try {
      this.#stream.resume();
    } catch {
      // The connection went away; what was kept has been delivered.
    } finally {
      this.#resuming = false;
    }
    this.#pauseIfWanted();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    try {
      this.#stream.send(chunk);
    } catch (error) {
      callback(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.#waiting = callback;
    this.#continueWriting();
  }

  /** The next write waits until all of the last one is with the muxer, so at most one chunk is queued here. */
  #continueWriting(): void {
    if (this.#stream.writableNeedsDrain || this.#stream.writeBufferLength > 0) return;
    const callback = this.#waiting;
    this.#waiting = undefined;
    callback?.();
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#closing = true;
    this.#stream.close().then(
      () => callback(),
      (error: Error) => callback(error),
    );
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const { status } = this.#stream;
    if (status === "open" || status === "closing") this.#stream.abort(error ?? new Error("closed"));
    callback(error);
  }
}
