/**
 * Thrown if the server redirects, which the client does not follow: the credential and the body would reach another
 * server. `location` is the address in the response; browsers do not tell it.
 */
export class UnexpectedRedirect extends Error {
  override readonly name = 'UnexpectedRedirect';

  constructor(
    readonly origin: string,
    readonly location: string | null,
  ) {
    super(`${origin} redirects to ${location ?? 'another address'}, and credentials are not sent there`);
  }
}

/**
 * A `fetch` that follows no redirect.
 *
 * @throws UnexpectedRedirect
 */
export function withoutRedirects(send: typeof fetch): typeof fetch {
  return async (input, init) => {
    const response = await send(input, { ...init, redirect: 'manual' });
    const isRedirect = response.type === 'opaqueredirect' || (response.status >= 300 && response.status < 400);
    if (!isRedirect) return response;
    await response.body?.cancel();
    throw new UnexpectedRedirect(new URL(new Request(input).url).origin, response.headers.get('location'));
  };
}
