/** Class 22 of PostgreSQL's error codes, data exceptions: the message quotes the value that could not be read. */
const DATA_EXCEPTION = /^22/;

/**
 * What a log says of an error, in one line and without the values that it is about.
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function errorText(error: unknown): string {
  return withoutValues(error, String(error));
}

/** The same with the place where it was thrown. */
export function errorStack(error: unknown): string {
  return error instanceof Error ? withoutValues(error, error.stack ?? String(error)) : String(error);
}

/** From the first quote to the last, because a value may have quotes in it. */
function withoutValues(error: unknown, text: string): string {
  if (!(error instanceof Error) || !quotesValues(error)) return text;
  const { message } = error;
  const [begin, end] = [message.indexOf('"'), message.lastIndexOf('"')];
  if (begin === end) return text;
  return text.replaceAll(message, () => `${message.slice(0, begin)}"…${message.slice(end)}`);
}

/** `JSON.parse` quotes the beginning of what it could not read. */
function quotesValues(error: Error & { code?: unknown }): boolean {
  return error instanceof SyntaxError || (typeof error.code === 'string' && DATA_EXCEPTION.test(error.code));
}
