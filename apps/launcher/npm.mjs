import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { runStep } from './child.mjs';
import { SetupError } from './errors.mjs';

const ARGUMENTS = [
  'ci',
  // npm 12 blocks install scripts and some users do, so nobody gets them, and there is one way to test.
  '--ignore-scripts',
  // Whatever the user's own settings leave out.
  '--include=dev',
  '--include=optional',
  '--engine-strict=false',
  '--no-audit',
  '--no-fund',
  '--loglevel=http',
];
const SAY_MS = 10_000;
const LOOK_MS = 500;
/** npm itself tries for minutes where nothing responds. */
const UNREACHABLE_MS = 15_000;

/** Runs the user's npm, and says now and then how far it is. */
export async function npmCi(root, lock, total) {
  const [command, ...args] = npmCommand();
  const log = new NpmLog();
  const begin = Date.now();
  const seconds = () => Math.round((Date.now() - begin) / 1000);
  const timers = [];
  // On Windows npm is a batch file, which needs a shell.
  const options = { cwd: root, stdio: ['ignore', 'ignore', 'pipe'], shell: process.platform === 'win32' };
  const code = await runStep(lock, command, [...args, ...ARGUMENTS], options, (npm) => {
    log.follow(npm.stderr);
    timers.push(
      setInterval(() => console.log(`  ${log.fetched} of ${total} packages downloaded, ${seconds()} s`), SAY_MS),
    );
    timers.push(setInterval(() => log.unreachableFor() > UNREACHABLE_MS && npm.kill('SIGKILL'), LOOK_MS));
  }).finally(() => timers.forEach(clearInterval));
  if (code !== 0) throw failure(code, log);
  console.log(`  installed in ${seconds()} s`);
}

/** The npm that runs us, with the Node that runs it: the bundled one may be about to be replaced. */
function npmCommand() {
  const { npm_execpath: npm, npm_node_execpath: node } = process.env;
  return npm && basename(npm) === 'npm-cli.js' ? [node ?? process.execPath, npm] : ['npm'];
}

/** What npm tells at the log level `http`: each response, each failed attempt, and why it gave up. */
class NpmLog {
  fetched = 0;
  /** The code of the first of the failures that no response has followed yet. */
  unreachable;
  said = [];
  #since;

  follow(stream) {
    createInterface({ input: stream }).on('line', (line) => this.#read(line));
  }

  #read(line) {
    if (/^npm http fetch GET [23]\d\d /.test(line)) {
      this.unreachable = undefined;
      if (line.includes('.tgz')) this.fetched += 1;
    }
    const [, code] = /^npm http fetch .* failed with (E[A-Z_]+)/.exec(line) ?? [];
    if (code) {
      this.#since = this.unreachable ? this.#since : Date.now();
      this.unreachable ??= code;
    }
    if (!/^npm (http|warn|info|notice) /.test(line)) this.said.push(line.replace(/^npm error ?/, ''));
  }

  unreachableFor() {
    return this.unreachable ? Date.now() - this.#since : 0;
  }
}

function failure(code, log) {
  if (log.unreachable) {
    return new SetupError(
      `The npm registry cannot be reached (${log.unreachable}), and the first start must download packages: check the ` +
        `network, or the \`proxy\` and \`registry\` settings of npm, and start again.`,
    );
  }
  if (code === null) return new SetupError('npm ci was interrupted: start again to finish it.');
  return new SetupError(`npm ci failed:\n${log.said.join('\n')}`);
}
