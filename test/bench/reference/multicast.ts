// multicast.ts listen|send ADDRESS: one packet to the group and port of mDNS; the listener ends when it has come.
import { createSocket } from "node:dgram";

const group = "224.0.0.251";
const port = 5353;
const text = "bench";
const [mode, address = ""] = process.argv.slice(2);
const socket = createSocket({ type: "udp4", reuseAddr: true });

if (mode === "listen") {
  socket.on("message", (message) => {
    if (message.toString() === text) socket.close();
  });
  socket.bind(port, () => {
    socket.addMembership(group, address);
    console.log("listening");
  });
} else {
  socket.bind(0, address, () => {
    socket.setMulticastInterface(address);
    socket.send(text, port, group, () => socket.close());
  });
}
