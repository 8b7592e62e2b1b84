/** Where `npm start` listens when nothing else is said. */
export const DEFAULT_URL = 'http://127.0.0.1:3000';

export const URL_ADVICE = 'must be the address of a Keyledger, such as https://keys.example.com';

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** In one way of writing, so that equal addresses are equal texts. Undefined for what is none. */
export function plainUrl(text: string): string | undefined {
  const url = URL.parse(text);
  if (!url || !['http:', 'https:'].includes(url.protocol)) return undefined;
  if (url.username || url.password || url.search || url.hash) return undefined;
  return url.href.replace(/(?<!\/)\/+$/, '');
}

/** Whether what is sent there can be read on the way. */
export function isOpenToReaders(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && !LOOPBACK.test(hostname);
}
