import type { Duplex } from "node:stream";

/**
 * Carry bytes both ways until both sides have ended, with back-pressure. An end travels as an end; an error
 * or a close before the end destroys the other side too. Resolves when both are closed; never rejects.
 */
export function joinStreams(a: Duplex, b: Duplex): Promise<void> {
  const follow = (from: Duplex, to: Duplex): Promise<void> =>
    new Promise((resolve) => {
      const ended = (): void => {
        // After both directions have ended there is nothing to cut short.
        if (!to.destroyed && !(from.readableEnded && to.readableEnded)) to.destroy();
        resolve();
      };
      from.on("error", () => to.destroy());
      if (from.closed) ended();
      else from.once("close", ended);
    });
  const closed = Promise.all([follow(a, b), follow(b, a)]);
  a.pipe(b);
  b.pipe(a);
  return closed.then(() => undefined);
}
