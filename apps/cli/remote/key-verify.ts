import type { Verification } from '#libs/contract/verification.js';
import type { CommandProcess } from '../command-process.js';
import { EXIT_REFUSED, EXIT_USAGE } from '../exit-codes.js';
import { askSecret, NO_SECRET_ARGUMENTS } from './ask.js';
import { connect } from './connection.js';
import { Failure } from './failure.js';
import { findOptionalId } from './find-id.js';
import { chosenOrganization } from './organizations.js';
import { json, write } from './output.js';
import { card, type Field } from './table.js';
import { localTime } from './text.js';

export interface VerifyKeyOptions {
  readonly scope?: string[];
  readonly organization?: string;
  readonly project?: string;
  readonly cost?: number;
  readonly method?: string;
  readonly path?: string;
  readonly ip?: string;
  readonly origin?: string;
  readonly json?: boolean;
}

/**
 * Verifies a key as a service does, which counts as a use.
 * @throws Failure without a message if the key is rejected, because the output says why
 */
export async function verifyKey(
  options: VerifyKeyOptions,
  args: readonly string[],
  host: CommandProcess,
): Promise<void> {
  if (args.length > 0) throw new Failure(NO_SECRET_ARGUMENTS, EXIT_USAGE);
  const api = connect(host.env);
  const { scope: scopes, organization, project, cost, method, path, ip, origin } = options;
  const where = project === undefined ? undefined : await chosenOrganization(api, host.env, organization);
  const project_id = await findOptionalId(api, 'project', project, where);
  const key = (await askSecret(host, 'API key')).trim();
  const result = await api.apiKeys.verify({
    body: { key, scopes, project_id, cost, request: { method, path, ip, origin } },
  });
  await write(host, options.json ? json(host, result) : card(fieldsOf(result)));
  if (!result.valid) throw new Failure('', EXIT_REFUSED);
}

function fieldsOf({
  valid,
  code,
  detail,
  api_key: apiKey,
  retry_after: wait,
  rate_limits: limits = [],
}: Verification): Field[] {
  const fields: Field[] = [
    ['Valid', valid ? 'yes' : 'no'],
    ['Code', code],
    ['Detail', detail],
  ];
  if (wait !== undefined) fields.push(['Wait', `${wait} s`]);
  if (apiKey) {
    fields.push(
      ['ID', apiKey.id],
      ['Name', apiKey.name],
      ['Status', apiKey.status],
      ['Environment', apiKey.environment],
      ['Scopes', apiKey.scopes.join(', ')],
      ['Expires', apiKey.expires_at === null ? 'never' : localTime(apiKey.expires_at)],
    );
  }
  for (const { name, limit, remaining } of limits)
    fields.push(['Rate limit', `${name}: ${remaining} of ${limit} left`]);
  return fields;
}
