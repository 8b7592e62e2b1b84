import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { addHelpCommand, LEAST_WIDTH, WrappedCommand } from './help.js';
import type { CommandProcess } from './command-process.js';
import type { Shell } from './completion.js';
import type { VerifyOptions } from './remote/audit-verify.js';
import type { ReceiptOptions } from './remote/verify-receipt.js';
import { addRemoteCommands } from './remote/commands.js';
import { collect, group, jsonOption, valuesOf, wholeNumber } from './remote/options.js';
import { mayRepeat } from './remote/repeated.js';
import { refuseSlips, suggestEveryOption } from './strict-usage.js';

/**
 * Imports each command only when it runs, because each needs large modules that the others do not.
 * @param host the process that runs it
 * @param end receives the exit code
 */
export function commandLine(host: CommandProcess, end: (exitCode: number) => void): Command {
  const program = everyCommand(host, end);
  program.commandsGroup('Commands for your shell:');
  program
    .command('completion')
    .description('print a script with which your shell completes commands and options')
    .addArgument(program.createArgument('<SHELL>', 'your shell').choices(valuesOf<Shell>(SHELLS)))
    .addHelpText('after', COMPLETION_HELP)
    .action(async (shell: Shell) => (await import('./completion.js')).printScript(shell));
  addHelpCommand(program);
  refuseSlips(program, mayRepeat);
  // The scripts call it. The words may be empty.
  program
    .command('complete', { hidden: true })
    .argument('[WORDS...]')
    .action(async (words: string[]) => (await import('./completion.js')).suggest(everyCommand(host, end), words));
  return program;
}

const SERVICES = {
  api: 'run the API alone, with the database that DATABASE_URL names',
  worker: 'run one worker alone, with the database that DATABASE_URL names',
} as const;

const SHELLS = { bash: true, zsh: true, fish: true } as const satisfies Record<Shell, true>;

function everyCommand(host: CommandProcess, end: (exitCode: number) => void): Command {
  const program = new WrappedCommand('keyledger')
    .description('Issues, verifies, meters and audits API keys.')
    .usage('COMMAND [OPTIONS]')
    .version(versionHere(), '-V, --version', 'show the version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => host.stdout.write(text),
      writeErr: (text) => host.stderr.write(text),
      getOutHelpWidth: () => host.stdout.columns,
      getErrHelpWidth: () => host.stderr.columns,
      outputError: (text, write) => write(withoutValues(text)),
    })
    .configureHelp({ ...suggestEveryOption, minWidthToWrap: LEAST_WIDTH })
    .showHelpAfterError('Add --help for help.')
    .helpCommand(false)
    .hook('preAction', () => refuseMisspeltVariables(host.env))
    .addHelpText('after', AFTER);

  program
    .commandsGroup('Commands for the machine that runs Keyledger:')
    .command('up')
    .description('run everything: the API, the worker, and PostgreSQL unless DATABASE_URL names one')
    .action(async () => end(await (await import('./up.js')).up(host.env)));
  program
    .command('migrate')
    .description('migrate the database that DATABASE_URL names')
    .action(async () => end(await (await import('./migrate-command.js')).migrateCommand(host)));
  for (const name of ['api', 'worker'] as const) {
    program
      .command(name)
      .description(SERVICES[name])
      .action(async () => (await import('./run-service.js')).runService(name));
  }
  group(program, 'operator', 'add operators to this deployment')
    .command('add')
    .description('print a one-time link with which a user becomes an operator of this deployment')
    .argument('[EMAIL]', 'only the account with this email may use the link')
    .addOption(jsonOption('print the link as JSON, for programs'))
    .addHelpText('after', OPERATOR_HELP)
    .action(async (email: string | undefined, options: { json?: true }) =>
      end(await (await import('./operator-command.js')).addOperator(email, options, host)),
    );

  const { audit } = addRemoteCommands(program, host);
  addAuditCommands(audit, host, end);
  addVerification(audit, host, end);
  addSigning(audit, host, end);
  return program;
}

/**
 * Checks only variables that are named after Keyledger: others in the environment may be for other programs. Commands
 * that read the settings of the service check those, too.
 * @throws ConfigError
 */
async function refuseMisspeltVariables(env: NodeJS.ProcessEnv): Promise<void> {
  const { isNamedAfterUs } = await import('#libs/platform/setting-names.js');
  const { refuseMisspeltNames } = await import('#libs/platform/config.js');
  refuseMisspeltNames(env, isNamedAfterUs);
}

/** The commands that work in the database of this machine. */
function addAuditCommands(audit: Command, host: CommandProcess, end: (exitCode: number) => void): void {
  audit
    .command('check')
    .description('check the audit logs in the database of this machine, entry by entry')
    .addOption(new Option('--organization <ID>', 'only the audit log of this organization'))
    .addOption(jsonOption('print the result as JSON, for programs'))
    .addHelpText('after', CHECK_HELP)
    .action(async (options: { organization?: string; json?: true }) =>
      end(await (await import('./audit-check-command.js')).checkAudit(options, host)),
    );
  audit
    .command('replay')
    .description('rebuild the organizations from their audit logs, and compare them with the database of this machine')
    .addOption(new Option('--check', 'compare, and name every difference'))
    .addOption(new Option('--organization <ID>', 'only this organization'))
    .addOption(jsonOption('print the result as JSON, for programs'))
    .addHelpText('after', REPLAY_HELP)
    .action(async (options: { check?: true; organization?: string; json?: true }) =>
      end(await (await import('./audit-replay-command.js')).replayAudit(options, host)),
    );
  audit
    .command('requeue [NUMBER...]')
    .description('put events that could not be read back into the outbox')
    .addOption(new Option('--all', 'all events in the quarantine'))
    .addOption(jsonOption('print the result as JSON, for programs'))
    .addHelpText('after', REQUEUE_HELP)
    .action(async (numbers: string[], options: { all?: true; json?: true }) =>
      end(await (await import('./audit-requeue-command.js')).requeue(numbers, options, host)),
    );
}

/** The commands of auditors, which need no rights on the machine of the deployment. */
function addVerification(audit: Command, host: CommandProcess, end: (exitCode: number) => void): void {
  audit
    .command('verify')
    .description('verify the whole audit log of an organization, on a server or in a file')
    .argument('[FILE]', 'what `audit export --proofs` wrote; without it, an audit log on a server')
    .addOption(new Option('--url <URL>', 'the address of the server (default: the one you are signed in at)'))
    .addOption(new Option('--organization <ID>', 'the organization of the audit log on the server'))
    .addOption(new Option('--state <FILE>', 'remembers the checkpoint, and demands that the next one continues it'))
    .addOption(new Option('--vkey <KEY>', 'the public key to trust; repeat it for more').argParser(collect))
    .addOption(
      new Option('--accept-epoch <N>', 'the epoch to accept if --state has an earlier one').argParser(wholeNumber),
    )
    .addOption(jsonOption('print the result as JSON, for programs'))
    .addHelpText('after', VERIFY_HELP)
    .action(async (file: string | undefined, options: VerifyOptions) =>
      end(await (await import('./remote/audit-verify.js')).verifyAudit(file, options, host)),
    );
  audit
    .command('verify-receipt')
    .description('verify the receipt of an event, and the cosignatures that it leads to')
    .argument('<FILE>', 'the receipt')
    .addOption(new Option('--vkey <KEY>', 'the public key of the audit log; repeat it for more').argParser(collect))
    .addOption(
      new Option('--witness <KEY>', 'the key of a witness that must have cosigned; repeat it').argParser(collect),
    )
    .addOption(
      new Option('--quorum <N>', 'how many of these witnesses are enough (default: all)').argParser(wholeNumber),
    )
    .addOption(jsonOption('print the result as JSON, for programs'))
    .addHelpText('after', RECEIPT_HELP)
    .action(async (file: string, options: ReceiptOptions) =>
      end((await import('./remote/verify-receipt.js')).verifyReceiptFile(file, options, host)),
    );
}

/** The commands for what signs the checkpoints. */
function addSigning(audit: Command, host: CommandProcess, end: (exitCode: number) => void): void {
  audit
    .command('new-epoch')
    .description('begin a new epoch of checkpoints, if what was signed is lost')
    .addOption(new Option('--yes', 'begin it; without this, only say what it means'))
    .addOption(jsonOption('print the result as JSON, for programs'))
    .addHelpText('after', EPOCH_HELP)
    .action(async (options: { yes?: true; json?: true }) =>
      end(await (await import('./new-epoch-command.js')).newEpoch(options, host)),
    );
  audit
    .command('rotate-key')
    .description('replace the key that signs the checkpoints')
    .addOption(new Option('--compromised', 'the present key may be known to others: it stops at once'))
    .addOption(new Option('--yes', 'with --compromised: do it; without this, only say what it means'))
    .addOption(jsonOption('print the result as JSON, for programs'))
    .addHelpText('after', ROTATE_HELP)
    .action(async (options: { compromised?: true; yes?: true; json?: true }) =>
      end(await (await import('./rotate-key-command.js')).rotateSigningKey(options, host)),
    );
}

const OPERATOR_HELP = `
It needs the database: DATABASE_URL, or a Keyledger that \`keyledger up\` or \`npm start\` runs on this machine. While there
is no operator, each such start ends earlier links without an EMAIL.`;

const CHECK_HELP = `
Computes the hashes, times, search terms and search rows again from the entries, and names the first difference in each
audit log. It needs the database, as \`operator add\` does. The exit code is 1 if an audit log differs.`;

const REPLAY_HELP = `
Rebuilds members, projects, keys, balances and counts of uses from the events alone, and names every field that is not the
same in the database. It needs the database, as \`operator add\` does. The exit code is 1 if there is a difference, and 2
if the audit logs do not say everything.`;

const REQUEUE_HELP = `
Without NUMBER, lists the first 100 records in the quarantine. Those that this version can read are put back, and an
event says so. It needs the database, as \`operator add\` does. The exit code is 1 if a record cannot be read.`;

const VERIFY_HELP = `
Computes the Merkle tree from the entries, and compares it with the signed checkpoint. The exit code is 0 if the audit log
is as it was signed, 1 if it is not, and 2 if it could not be checked in full.

  keyledger audit verify --organization org_… --state org.state
  keyledger audit verify audit.jsonl --vkey "$(cat org.vkey)"`;

const RECEIPT_HELP = `
It needs no server. The exit code is 0 if the receipt proves its event, 1 if it does not, and 2 if it could not be checked.

  keyledger audit verify-receipt event-41.tlog-proof --vkey "$(cat org.vkey)" --witness "$(cat witness.vkey)"`;

const EPOCH_HELP = `
A checkpoint must continue all earlier ones. If the database was restored from a backup, or the anchor is lost, none is
signed until both are back or a new epoch begins. Each audit log gets an entry with what was anchored last, a new origin
and a new key. It needs the database, as \`operator add\` does, and the anchor (ANCHOR_FILE).`;

const ROTATE_HELP = `
The new key signs under the same origin. Each audit log gets an entry with it, signed by the present key, so auditors
follow without doing anything. Both keys sign for 30 days. If the present key may be known to others, it cannot hand over:
with --compromised it stops at once, and auditors need the new key from you, as --vkey. It needs the database, as
\`operator add\` does, and KEYLEDGER_SECRET.`;

const AFTER = `
Exit codes: 0 done, 1 refused by the server or at a question, 2 not checked in full, 64 wrong usage, 69 no server responds,
74 the output could not be written, 77 not signed in, 78 a setting or file is wrong, 130 ended by Ctrl-C.`;

const COMPLETION_HELP = `
Bash needs the package bash-completion.

  echo 'eval "$(keyledger completion bash)"' >> ~/.bashrc
  echo 'source <(keyledger completion zsh)' >> ~/.zshrc
  keyledger completion fish > ~/.config/fish/completions/keyledger.fish`;

/** The version of the package that this file belongs to. */
function versionHere(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
}

/** The value of an option may be a secret: `--password=…`. */
function withoutValues(text: string): string {
  return text
    .split('\n')
    .map((line) => line.replace(/^((?:[^=]*[^\w=-])?--?[\w-]+)=.*'$/s, "$1=…'"))
    .join('\n');
}
