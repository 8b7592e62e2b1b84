import { createParser, type EventSourceMessage } from 'eventsource-parser';

/** A server-sent event, as a browser parses it. */
export interface ServerSentEvent {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** Reads a stream event by event. */
export class EventReader {
  /** Heartbeats, which a browser ignores. */
  readonly comments: string[] = [];
  /** Parsed and not returned yet. */
  readonly #events: EventSourceMessage[] = [];
  #returnedId = '';
  #latestId = '';
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly #parser = createParser({
    onEvent: (event) => this.#events.push(event),
    onId: (id) => (this.#latestId = id),
    onComment: (comment) => this.comments.push(comment),
  });

  constructor(readonly response: Response) {
    this.#reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** The position after everything that was returned. */
  get lastEventId(): string {
    return this.#events.length > 0 ? this.#returnedId : this.#latestId;
  }

  /** Returns the next event, or undefined at the end of the stream. */
  async next(): Promise<ServerSentEvent | undefined> {
    for (;;) {
      const event = this.#events.shift();
      if (event) {
        this.#returnedId = event.id ?? this.#returnedId;
        return { id: this.#returnedId, event: event.event ?? 'message', data: event.data };
      }
      const { value, done } = await this.#reader.read();
      if (done) return undefined;
      this.#parser.feed(value);
    }
  }

  /** Returns the next `count` events. */
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
}
