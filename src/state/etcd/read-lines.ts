/**
 * The lines of a byte stream, empty ones left out, each at most `limit` bytes. Ends with the stream; throws
 * when it breaks off or a line is longer.
 */
export async function* readLines(
  stream: AsyncIterable<unknown>,
  limit: number,
): AsyncGenerator<string, void, undefined> {
  let parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    let rest = chunk as Buffer;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      const line = Buffer.concat([...parts, rest.subarray(0, end)]).toString("utf8");
      parts = [];
      size = 0;
      rest = rest.subarray(end + 1);
      if (line.trim() !== "") yield line;
    }
    size += rest.length;
    if (size > limit) throw new Error(`line longer than ${limit} bytes`);
    if (rest.length > 0) parts.push(rest);
  }
}
