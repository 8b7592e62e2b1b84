// Checks of the options with which packages connect to Keyledger. Without them, `fetch` would fail later, with an error
// that quotes the credential.

/**
 * @returns the address without a final slash
 * @throws TypeError with one sentence
 */
export function checkedBaseUrl(baseUrl: string): string {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  const isPlain = url && !/[?#\s]/.test(baseUrl) && !url.username && !url.password && /^https?:$/.test(url.protocol);
  if (!isPlain) throw new TypeError('baseUrl must be the address of Keyledger, such as https://keys.example.com.');
  return url.href.replace(/\/$/, '');
}

/** Whether a text can be sent as a credential: it is one word of printable ASCII. */
export function isCredential(text: string | undefined): text is string {
  return typeof text === 'string' && /^[\x21-\x7e]+$/.test(text);
}
