import { connect } from "node:net";

const answerMs = 2_000;
/** Characters of an answer that are read at most. */
const mostText = 65_536;

/**
 * The `description` that the haproxy behind this socket runs with (management guide, "show info"); null when it has
 * none, or does not answer.
 */
export async function haproxyDescription(socket: string): Promise<string | null> {
  const text = await ask(socket, "show info");
  return /^description: (.*)$/m.exec(text)?.[1] ?? null;
}

/** An answer, as far as it came. */
function ask(path: string, command: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  const socket = connect({ path, timeout: answerMs });
  const end = (): void => {
    socket.destroy();
    clearTimeout(late);
    resolve(text);
  };
  const late = setTimeout(end, answerMs);
  socket.setEncoding("utf8");
  socket.once("connect", () => socket.write(`${command}\n`));
  socket.on("data", (part) => {
    text += part;
    if (text.length > mostText) end();
  });
  for (const event of ["end", "close", "error", "timeout"]) socket.once(event, end);
  return promise;
}
