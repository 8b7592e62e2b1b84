import { createParser } from 'eventsource-parser';

/** What one piece of the stream contained. */
export interface StreamedEvents {
  /** The events, each with the position after it. */
  readonly events: readonly { readonly id: string | undefined; readonly data: string }[];
  /** The position after all of them. It also advances without events; undefined until the server sends one. */
  readonly lastId: string | undefined;
}

/** Far more than one event of the audit log takes. */
const MAX_CHARACTERS = 1_000_000;

/**
 * Reads server-sent events (WHATWG HTML, section 9.2.6). Yields once for each piece that arrives, also for a heartbeat.
 * Drops an unfinished event.
 * @param signal ends the reading
 */
export async function* readEventStream(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  signal?: AbortSignal,
): AsyncGenerator<StreamedEvents> {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  const stop = () => void reader.cancel().catch(() => undefined);
  signal?.addEventListener('abort', stop);
  if (signal?.aborted) stop();
  const events: { id: string | undefined; data: string }[] = [];
  let lastId: string | undefined;
  const parser = createParser({
    onEvent: ({ id, data }) => events.push({ id, data }),
    onId: (id) => (lastId = id),
    maxBufferSize: MAX_CHARACTERS,
  });
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      parser.feed(value);
      yield { events: events.splice(0), lastId };
    }
  } finally {
    signal?.removeEventListener('abort', stop);
    stop();
  }
}
