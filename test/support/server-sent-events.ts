/** A server-sent event, as a browser would parse it. */
export interface ServerSentEvent {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** Reads a stream according to WHATWG HTML, section 9.2.6: a message without data is no event, but its id counts. */
export class EventReader {
  lastEventId = '';
  /** Heartbeats, which a browser ignores. */
  readonly comments: string[] = [];
  #rest = '';
  readonly #reader: ReadableStreamDefaultReader<string>;

  constructor(readonly response: Response) {
    this.#reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** The next event, or undefined at the end of the stream. */
  async next(): Promise<ServerSentEvent | undefined> {
    for (;;) {
      const end = this.#rest.indexOf('\n\n');
      if (end < 0) {
        const { value, done } = await this.#reader.read();
        if (done) return undefined;
        this.#rest += value;
        continue;
      }
      const event = this.#parse(this.#rest.slice(0, end));
      this.#rest = this.#rest.slice(end + 2);
      if (event) return event;
    }
  }

  /** The next `count` events. */
  async take(count: number): Promise<ServerSentEvent[]> {
    const events: ServerSentEvent[] = [];
    while (events.length < count) {
      const event = await this.next();
      if (!event) break;
      events.push(event);
    }
    return events;
  }

  /** Closes the connection. */
  async cut(): Promise<void> {
    await this.#reader.cancel();
  }

  #parse(block: string): ServerSentEvent | undefined {
    const fields = { event: 'message', data: [] as string[] };
    for (const line of block.split('\n')) {
      const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line)!;
      if (name === '') this.comments.push(value!);
      if (name === 'id') this.lastEventId = value!;
      if (name === 'event') fields.event = value!;
      if (name === 'data') fields.data.push(value!);
    }
    if (fields.data.length === 0) return undefined;
    return { id: this.lastEventId, event: fields.event, data: fields.data.join('\n') };
  }
}
