import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { runStep } from './child.mjs';
import { SetupError } from './errors.mjs';

const ARGUMENTS = [
  'ci',
  // npm 12 and some users block install scripts. We block them always, so that there is only one way to test.
  '--ignore-scripts',
  // The user's own settings may exclude these.
  '--include=dev',
  '--include=optional',
  '--engine-strict=false',
  '--no-audit',
  '--no-fund',
  '--loglevel=http',
];
const SAY_MS = 10_000;
const LOOK_MS = 500;
/** npm itself retries for minutes if the registry does not respond. */
const UNREACHABLE_MS = 15_000;

/** Runs the user's npm and reports its progress. */
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

/** Returns the npm that runs us, and the Node that runs it: npm may be about to replace the bundled Node. */
function npmCommand() {
  const { npm_execpath: npm, npm_node_execpath: node } = process.env;
  return npm && basename(npm) === 'npm-cli.js' ? [node ?? process.execPath, npm] : ['npm'];
}

/** Reads npm's output at the log level `http`: each response, each failed attempt, and the final error. */
class NpmLog {
  fetched = 0;
  /** The error code of the first failure since the last response. */
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
