import { connect, type NetConnectOpts } from "node:net";

const answerMs = 1_000;

/** Whether something takes connections there. */
export function listens(place: NetConnectOpts): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ ...place, timeout: answerMs });
  const end = (answer: boolean) => (): void => {
    socket.destroy();
    resolve(answer);
  };
  socket.once("connect", end(true)).once("error", end(false)).once("timeout", end(false));
  return promise;
}
