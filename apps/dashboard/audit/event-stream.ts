import { AuditEvent } from '#libs/contract/audit.js';

/** What one read of the stream returned. */
export interface Told {
  readonly events: readonly AuditEvent[];
  /** The position to resume from. It also advances when there are no events. */
  readonly lastId: number | undefined;
}

const BLANK_LINE = '\n\n';

/** Parses server-sent events (WHATWG HTML, section 9.2.6), as far as the tail uses them. */
export async function* toldBy(response: Response, signal: AbortSignal): AsyncGenerator<Told> {
  const reader = response.body!.getReader();
  const stop = () => void reader.cancel().catch(() => undefined);
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  try {
    const decoder = new TextDecoder();
    let rest = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + decoder.decode(value, { stream: true })).split(BLANK_LINE);
      rest = blocks.pop()!;
      const fields = blocks.map(fieldsOf);
      yield {
        events: fields.flatMap(({ data }) => (data ? [AuditEvent.parse(JSON.parse(data))] : [])),
        lastId: fields.findLast(({ id }) => id !== undefined)?.id,
      };
    }
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

function fieldsOf(block: string): { id: number | undefined; data: string | undefined } {
  const valueOf = (name: string) =>
    block
      .split('\n')
      .find((line) => line.startsWith(`${name}: `))
      ?.slice(name.length + 2);
  const id = valueOf('id');
  return { id: id === undefined ? undefined : Number(id), data: valueOf('data') };
}

/** Returns the first line with this beginning, unchanged: parsing and serializing it could change its bytes. */
export async function firstLineWith(response: Response, beginning: string): Promise<string | undefined> {
  const reader = response.body!.getReader();
  try {
    const decoder = new TextDecoder();
    for (let text = ''; ;) {
      const { value, done } = await reader.read();
      text += decoder.decode(value, { stream: !done });
      const lines = text.split('\n');
      const line = lines.slice(0, done ? undefined : -1).find((candidate) => candidate.startsWith(beginning));
      if (line !== undefined || done) return line;
      text = lines.at(-1)!;
    }
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}
