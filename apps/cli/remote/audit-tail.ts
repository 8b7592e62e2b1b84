import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError } from '#libs/client/client.js';
import { readEventStream } from '#libs/client/event-stream.js';
import { AuditEvent } from '#libs/contract/audit.js';
import type { CommandProcess } from '../command-process.js';
import { EXIT_UNAVAILABLE } from '../exit-codes.js';
import { auditLine, filtersOf, type AuditFilters } from './audit-events.js';
import { connect } from './connection.js';
import { Failure } from './failure.js';
import { failureOf } from './failures.js';
import { interruption } from './interruption.js';
import { layoutOf, note, write } from './output.js';

export interface TailOptions extends AuditFilters {
  readonly after?: number;
  readonly json?: boolean;
}

/** The server sends a heartbeat every 15 seconds. */
const SILENCE_MS = 45_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;

/**
 * Shows events as they arrive until it is interrupted. After a lost connection it reconnects and resumes after the last
 * event that it showed: no event is missed or shown twice.
 */
export async function tailEvents(options: TailOptions, host: CommandProcess): Promise<void> {
  const stop = interruption(host);
  try {
    await new Tail(options, host, stop).follow();
  } catch (error) {
    if (!stop.aborted) throw error;
  }
}

class Tail {
  #last: string | undefined;
  /** Names are looked up once. */
  #query: Awaited<ReturnType<typeof filtersOf>> | undefined;
  #wait = FIRST_WAIT_MS;
  #wasConnected = false;

  constructor(
    private readonly options: TailOptions,
    private readonly host: CommandProcess,
    private readonly stop: AbortSignal,
  ) {
    this.#last = options.after?.toString();
  }

  /** After the first connection, reconnects while the server is away. Never returns; throws the error that ends it. */
  async follow(): Promise<never> {
    for (;;) {
      try {
        await this.#listen();
      } catch (error) {
        if (this.stop.aborted || !this.#wasConnected || !isPassing(error)) throw error;
        note(this.host, `Reconnecting: ${(failureOf(error) as Failure).message}`);
      }
      await sleep(this.#wait, undefined, { signal: this.stop });
      this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT_MS);
    }
  }

  /** Returns when the server closes the stream (because it restarts or the credential has expired) or stops sending. */
  async #listen(): Promise<void> {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), SILENCE_MS);
    try {
      const api = connect(this.host.env, AbortSignal.any([this.stop, silence.signal]));
      const headers = this.#last === undefined ? {} : { 'last-event-id': this.#last };
      this.#query ??= await filtersOf(api, this.host.env, this.options);
      const { body } = await api.audit.tail({ query: this.#query, headers });
      this.#wasConnected = true;
      this.#wait = FIRST_WAIT_MS;
      for await (const { events, lastId } of readEventStream(body!)) {
        timer.refresh();
        for (const { id, data } of events) {
          await this.#show(data);
          this.#last = id ?? this.#last;
        }
        this.#last = lastId ?? this.#last;
      }
    } catch (error) {
      if (!silence.signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #show(data: string): Promise<void> {
    await write(
      this.host,
      this.options.json
        ? `${data}\n`
        : `${auditLine(AuditEvent.parse(JSON.parse(data)), layoutOf(this.host.stdout))}\n`,
    );
  }
}

function isPassing(error: unknown): boolean {
  if (error instanceof ApiError) return error.problem.status >= 500;
  const failure = failureOf(error);
  return failure instanceof Failure && failure.exitCode === EXIT_UNAVAILABLE;
}
