export interface ServerSentEvent {
  /** The position of the reader in the stream; also set on messages without data. */
  readonly id?: string;
  readonly data?: string;
}

/** Yields messages as they arrive, from a server that ends lines with LF. Drops an unfinished message. */
export async function* serverSentEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of chunks) {
    const messages = (text + decoder.decode(chunk, { stream: true })).split('\n\n');
    text = messages.pop()!;
    for (const message of messages) yield parse(message);
  }
}

function parse(message: string): ServerSentEvent {
  const lines = message.split('\n');
  const [id] = valuesOf('id', lines);
  const data = valuesOf('data', lines);
  return { ...(id !== undefined && { id }), ...(data.length > 0 && { data: data.join('\n') }) };
}

function valuesOf(field: string, lines: readonly string[]): string[] {
  return lines
    .filter((line) => line.startsWith(`${field}:`))
    .map((line) => line.slice(field.length + 1).replace(/^ /, ''));
}
