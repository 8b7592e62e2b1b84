import type { CommandProcess } from '../command-process.js';
import { EXIT_USAGE } from '../exit-codes.js';
import { NO_SECRET_ARGUMENTS } from './ask.js';
import { askApiKey, serverUrl, withApiKey } from './connection.js';
import { Failure } from './failure.js';
import { json, note, write } from './output.js';
import { localTime } from './text.js';

export interface ExchangeKeyOptions {
  readonly audience?: string;
  readonly scope?: string[];
  readonly lifetime?: number;
  readonly json?: boolean;
}

/** Exchanges a key for a token, as the holder of the key. Standard output has only the token. */
export async function exchangeKey(
  { audience, scope: scopes = [], lifetime, json: asJson }: ExchangeKeyOptions,
  args: readonly string[],
  host: CommandProcess,
): Promise<void> {
  if (args.length > 0) throw new Failure(NO_SECRET_ARGUMENTS, EXIT_USAGE);
  if (audience === undefined)
    throw new Failure('Name the service that is to accept the token: --audience.', EXIT_USAGE);
  const key = await askApiKey(host);
  const api = withApiKey(serverUrl(host.env), key);
  const response = await api.apiKeys.createToken({ body: { audience, scopes, expires_in_seconds: lifetime } });
  if (asJson) return write(host, json(host, response));
  await write(host, `${response.token}\n`);
  note(host, `The token is valid until ${localTime(response.expires_at)}. Nothing can revoke it.`);
}
