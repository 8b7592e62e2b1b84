/** Where `npm start` listens by default. */
export const DEFAULT_URL = 'http://127.0.0.1:3000';

export const URL_ADVICE = 'must be the address of a Keyledger server, such as https://keys.example.com';

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** Normalizes a server URL, so that equal addresses compare equal. Undefined if the text is no valid URL. */
export function plainUrl(text: string): string | undefined {
  const url = URL.parse(text);
  if (!url || !['http:', 'https:'].includes(url.protocol)) return undefined;
  if (url.username || url.password || url.search || url.hash) return undefined;
  return url.href.replace(/(?<!\/)\/+$/, '');
}

/** Whether others can read the traffic to this URL. */
export function isOpenToReaders(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && !LOOPBACK.test(hostname);
}
