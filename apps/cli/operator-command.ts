import { parseArgs } from 'node:util';
import { email as Email } from '#libs/contract/accounts.js';
import { ConfigError, readConfigWithoutDatabase } from '#libs/platform/config.js';
import { EXIT_USAGE } from './exit-codes.js';
import { runningPostgres } from './embedded-postgres.js';
import { newOperatorLink } from './operator-link.js';

const USAGE = `usage: keyledger operator add [EMAIL] [--json]

Prints a one-time link that makes whoever opens it an operator of this deployment: with the account of EMAIL alone, when
one is given. As long as there is no operator, a start of \`npm start\` ends the links before it that name no EMAIL. It
needs the database: DATABASE_URL, or a Keyledger of \`npm start\` that runs on this machine.
`;

export async function operatorCommand(args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(USAGE);
    return 0;
  }
  const parsed = parse(args);
  if (!parsed) {
    process.stderr.write(USAGE);
    return EXIT_USAGE;
  }
  const { publicUrl, settings } = readConfigWithoutDatabase(env);
  const databaseUrl = env['DATABASE_URL'] ? settings.DATABASE_URL : runningDatabase(settings.DATA_DIR);
  const { url, token, expiresAt } = await newOperatorLink(databaseUrl, publicUrl, parsed.email);
  process.stdout.write(
    parsed.json
      ? `${JSON.stringify({ url, token, expires_at: expiresAt.toISOString() })}\n`
      : `${url}\n\nIt works once, until ${expiresAt.toISOString()}. Over the API: register with "invitation_token", or sign in and call\nPOST /api/v1/invitations/accept, with what stands after the #.\n`,
  );
  return 0;
}

function parse(args: string[]): { email: string | null; json: boolean } | undefined {
  try {
    const { positionals, values } = parseArgs({
      args,
      allowPositionals: true,
      options: { json: { type: 'boolean', default: false } },
    });
    const [action, text, ...rest] = positionals;
    if (action !== 'add' || rest.length > 0) return undefined;
    const email = text === undefined ? null : Email.parse(text);
    return { email, json: values.json };
  } catch {
    return undefined;
  }
}

function runningDatabase(dataDirectory: string): string {
  const running = runningPostgres(dataDirectory);
  if (running) return running;
  throw new ConfigError(
    `DATABASE_URL is not set and no Keyledger of npm start runs with DATA_DIR ${dataDirectory}: start it, or name the database.`,
  );
}
