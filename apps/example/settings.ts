export interface ExampleSettings {
  readonly port: number;
  readonly keyledgerUrl: string;
  /** The API key with which we ask Keyledger about the keys of our callers. */
  readonly serviceKey: string;
}

/** @throws Error with one sentence that names the variable */
export function readSettings(env: Record<string, string | undefined>, args: readonly string[]): ExampleSettings {
  if (args.length > 0) throw new Error(`The example takes no arguments: it reads the variables ${OURS.join(', ')}.`);
  refuseMisspelt(env);
  const text = env['EXAMPLE_PORT'] || '3001';
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) {
    throw new Error('EXAMPLE_PORT must be a port number between 0 and 65535.');
  }
  const keyledgerUrl = env['KEYLEDGER_URL'] || 'http://127.0.0.1:3000';
  if (!/^https?:\/\/[^\s/?#@]+\/?$/.test(keyledgerUrl) || !URL.canParse(keyledgerUrl)) {
    throw new Error('KEYLEDGER_URL must be the http(s) address of Keyledger, such as http://127.0.0.1:3000.');
  }
  const serviceKey = env['KEYLEDGER_SERVICE_KEY'];
  if (!serviceKey || /\s/.test(serviceKey)) {
    throw new Error(
      'KEYLEDGER_SERVICE_KEY must be an API key with the scope api-keys:verify; sign in to Keyledger and create one with ' +
        'POST /api/v1/api-keys {"name": "Example API", "scopes": ["api-keys:verify"]}.',
    );
  }
  return { port, keyledgerUrl, serviceKey };
}

const OURS = ['EXAMPLE_PORT', 'KEYLEDGER_URL', 'KEYLEDGER_SERVICE_KEY'];
/** Variables of Keyledger itself, which may run in the same environment, and of a Kubernetes service with that name. */
const OTHERS = /^KEYLEDGER_(SECRET|API_KEY|(\w+_)?SERVICE_(HOST|PORT\w*)|(\w+_)?PORT(_\d+_TCP\w*)?)$/;

/** A misspelt variable would be ignored silently. */
function refuseMisspelt(env: Record<string, string | undefined>): void {
  const misspelt = Object.keys(env).find(
    (name) => /^(KEY_?LE|EXAMPLE_?P)/i.test(name) && env[name] && !OURS.includes(name) && !OTHERS.test(name),
  );
  if (misspelt) throw new Error(`${misspelt} is not a setting of the example: it reads ${OURS.join(', ')}.`);
}
