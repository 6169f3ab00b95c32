import { identify } from "@libp2p/identify";
import type { PrivateKey } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { ping } from "@libp2p/ping";
import { createLibp2p, type Libp2p } from "libp2p";
import type { Gossip } from "./gossip.ts";
import type { TcpDoor } from "./tcp-door.ts";
import { thriftyYamux } from "./thrifty-yamux.ts";

export interface MemberHostOptions {
  readonly privateKey: PrivateKey;
  readonly door: TcpDoor;
  readonly gossip: Gossip;
  /** Whether to end a connection at its Noise handshake, when the other end's PeerId is proved. */
  readonly refuses: (remote: { toString(): string }, inbound: boolean) => boolean;
}

/** The libp2p host of a member, not started: its parts and their limits. */
export function createMemberHost({ privateKey, door, gossip, refuses }: MemberHostOptions): Promise<Libp2p> {
  return createLibp2p({
    start: false,
    privateKey,
    addresses: { listen: [] },
    transports: [door.factory],
    connectionEncrypters: [noise()],
    streamMuxers: [
      thriftyYamux({
        maxInboundStreams: 2048,
        maxOutboundStreams: 2048,
        streamOptions: {
          // A paused reader may be sent a whole window more: it has to fit its buffer, or the stream is reset.
          maxStreamWindowSize: 1024 * 1024,
          maxReadBufferLength: 8 * 1024 * 1024,
        },
      }),
    ],
    // The pulse does this, with regard to our own delays.
    connectionMonitor: { enabled: false },
    connectionManager: {
      maxConnections: 1000,
      inboundConnectionThreshold: 100,
      maxIncomingPendingConnections: 128,
      inboundUpgradeTimeout: 5000,
    },
    connectionGater: {
      denyInboundEncryptedConnection: (remote) => refuses(remote, true),
      denyOutboundEncryptedConnection: (remote) => refuses(remote, false),
    },
    services: { identify: identify(), ping: ping(), pubsub: gossip.factory },
  });
}
