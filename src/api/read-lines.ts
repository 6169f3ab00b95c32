/** A longer line than this is no event. */
const longestLine = 4 * 1024 * 1024;

/** The lines of a byte stream, without their ends; an unfinished last line is dropped. */
export async function* readLines(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of bytes) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > longestLine) throw new Error("a line of the stream is too long");
    yield* lines;
  }
}
