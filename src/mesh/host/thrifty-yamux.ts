import type { StreamMuxerFactory } from "@libp2p/interface";
import { type YamuxMuxerInit, yamux } from "@libp2p/yamux";
import { StreamState, type YamuxStream } from "@libp2p/yamux/stream";

/** What @libp2p/yamux keeps of the window of a stream, in bytes. */
interface Window {
  readonly recvWindow: number;
  readonly recvWindowCapacity: number;
}

/**
 * yamux that gives a sender room again when half of its window is used, as the other implementations do
 * (hashicorp/yamux, spec.md: "Flow Control" leaves the moment open). @libp2p/yamux answers each frame of data with an
 * update, which doubles the packets of small messages (ADR 35).
 */
export function thriftyYamux(init: YamuxMuxerInit = {}): () => StreamMuxerFactory {
  const make = yamux(init);
  return () => {
    const factory = make();
    const create = factory.createStreamMuxer.bind(factory);
    factory.createStreamMuxer = (connection) => {
      const muxer = create(connection);
      const open: unknown = Reflect.get(muxer, "_newStream");
      if (typeof open !== "function") return muxer;
      Reflect.set(muxer, "_newStream", (...of: unknown[]) => thrifty(open.apply(muxer, of) as YamuxStream));
      return muxer;
    };
    return factory;
  };
}

function thrifty(stream: YamuxStream): YamuxStream {
  const update = stream.sendWindowUpdate.bind(stream);
  stream.sendWindowUpdate = () => {
    const { recvWindow, recvWindowCapacity } = stream as unknown as Window;
    // Before it is established an update also opens the stream, or takes it up.
    if (stream.state === StreamState.Established && recvWindowCapacity > recvWindow / 2) return;
    update();
  };
  return stream;
}
