/** Class 22 of PostgreSQL's error codes, data exceptions: the message quotes the invalid value. */
const DATA_EXCEPTION = /^22/;

/**
 * An error as one line for the log, without the values that it quotes.
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function errorText(error: unknown): string {
  return withoutValues(error, String(error));
}

/** Like {@link errorText}, with the stack. */
export function errorStack(error: unknown): string {
  return error instanceof Error ? withoutValues(error, error.stack ?? String(error)) : String(error);
}

/** Cuts from the first quote to the last, because a value may contain quotes. */
function withoutValues(error: unknown, text: string): string {
  if (!(error instanceof Error) || !quotesValues(error)) return text;
  const { message } = error;
  const [begin, end] = [message.indexOf('"'), message.lastIndexOf('"')];
  if (begin === end) return text;
  return text.replaceAll(message, () => `${message.slice(0, begin)}"…${message.slice(end)}`);
}

/** `JSON.parse` quotes the beginning of invalid input. */
function quotesValues(error: Error & { code?: unknown }): boolean {
  return error instanceof SyntaxError || (typeof error.code === 'string' && DATA_EXCEPTION.test(error.code));
}
