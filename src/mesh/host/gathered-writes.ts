import { Socket } from "node:net";
import type { MultiaddrConnection, Upgrader } from "@libp2p/interface";

type SendData = (data: Iterable<Uint8Array>) => { readonly sentBytes: number; readonly canSendMore: boolean };

/** An upgrader for connections of @libp2p/tcp that writes to their sockets once in a turn of the event loop. */
export function gatheringUpgrader(upgrader: Upgrader): Upgrader {
  return new Proxy(upgrader, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      if (key !== "upgradeInbound" && key !== "upgradeOutbound") return value.bind(target);
      return (connection: MultiaddrConnection, ...rest: unknown[]) => {
        gatherWrites(connection);
        return value.call(target, connection, ...rest);
      };
    },
  });
}

function gatherWrites(connection: MultiaddrConnection): void {
  const socket: unknown = Reflect.get(connection, "socket");
  const sendData: unknown = Reflect.get(connection, "sendData");
  if (!(socket instanceof Socket) || typeof sendData !== "function") return;
  const send = sendData.bind(connection) as SendData;
  let isCorked = false;
  Reflect.set(connection, "sendData", (data: Iterable<Uint8Array>) => {
    if (!isCorked) {
      isCorked = true;
      socket.cork();
      process.nextTick(() => {
        isCorked = false;
        socket.uncork();
      });
    }
    return send(data);
  });
}
