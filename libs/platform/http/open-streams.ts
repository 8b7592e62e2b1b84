import type { Readable } from 'node:stream';
import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';

/** Streaming responses. They never end on their own, so the process cuts them when it stops. */
@Injectable()
export class OpenStreams implements BeforeApplicationShutdown {
  readonly #open = new Set<Readable>();
  #closing = false;

  keep<T extends Readable>(stream: T): T {
    this.#open.add(stream);
    stream.once('close', () => this.#open.delete(stream));
    if (this.#closing) stream.destroy();
    return stream;
  }

  beforeApplicationShutdown(): void {
    this.#closing = true;
    for (const stream of this.#open) stream.destroy();
  }
}
