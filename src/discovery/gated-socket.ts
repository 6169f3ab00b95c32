import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { EventEmitter } from "node:events";

export interface GatedSocketHooks {
  /** Whether a packet that arrived is passed on; runs before it is decoded. */
  readonly admit: (bytes: Buffer, from: RemoteInfo) => boolean;
  /** A packet is about to be sent. */
  readonly sending: (bytes: Buffer) => void;
}

/**
 * A UDP socket for multicast-dns that lets packets in by a gate of ours: the library itself decodes all that
 * arrives, and a udp4 socket gets the packets of every interface. `ipv6Only`, which the library cannot ask
 * for, keeps IPv4 packets off the IPv6 sockets.
 */
export function gatedSocket(family: 4 | 6, hooks: GatedSocketHooks): Socket {
  const inner =
    family === 4
      ? createSocket({ type: "udp4", reuseAddr: true })
      : createSocket({ type: "udp6", reuseAddr: true, ipv6Only: true });
  const outer = new EventEmitter();
  inner.on("message", (bytes, from) => {
    if (hooks.admit(bytes, from)) outer.emit("message", bytes, from);
  });
  inner.on("error", (error) => outer.emit("error", error));
  inner.on("listening", () => {
    // Unicast replies too: some receivers take a lower hop count for a packet from afar (RFC 6762 section 11).
    inner.setTTL(255);
    outer.emit("listening");
  });
  const methods = {
    address: inner.address.bind(inner),
    bind: (port: number, address: string, done: () => void) => {
      inner.bind(port, address, done);
    },
    send: (
      bytes: Buffer,
      offset: number,
      length: number,
      port: number,
      address: string,
      done: (error: Error | null) => void,
    ) => {
      hooks.sending(bytes);
      inner.send(bytes, offset, length, port, address, done);
    },
    close: (done: () => void) => inner.close(done),
    addMembership: inner.addMembership.bind(inner),
    dropMembership: inner.dropMembership.bind(inner),
    setMulticastInterface: inner.setMulticastInterface.bind(inner),
    setMulticastTTL: inner.setMulticastTTL.bind(inner),
    setMulticastLoopback: inner.setMulticastLoopback.bind(inner),
  };
  // The library uses no more of a socket than this.
  return Object.assign(outer, methods) as unknown as Socket;
}
