export interface ExampleSettings {
  readonly port: number;
  readonly keyledgerUrl: string;
  /** Our own key, with which we ask Keyledger about the keys of our callers. */
  readonly serviceKey: string;
}

/** @throws Error with one sentence that names the variable. */
export function readSettings(env: Record<string, string | undefined>): ExampleSettings {
  const port = Number(env['EXAMPLE_PORT'] || 3001);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Error('EXAMPLE_PORT must be a port number between 0 and 65535.');
  }
  const keyledgerUrl = env['KEYLEDGER_URL'] || 'http://127.0.0.1:3000';
  if (!/^https?:$/.test(URL.parse(keyledgerUrl)?.protocol ?? '')) {
    throw new Error('KEYLEDGER_URL must be the http(s) address of Keyledger, such as http://127.0.0.1:3000.');
  }
  const serviceKey = env['KEYLEDGER_SERVICE_KEY'];
  if (!serviceKey) {
    throw new Error(
      'KEYLEDGER_SERVICE_KEY must be an API key with the scope api-keys:verify; sign in to Keyledger and make one with ' +
        'POST /api/v1/api-keys {"name": "Example API", "scopes": ["api-keys:verify"]}.',
    );
  }
  return { port, keyledgerUrl, serviceKey };
}
