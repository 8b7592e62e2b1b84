import { spawn } from 'node:child_process';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** npm first waits for its pending requests. The next start repeats an interrupted step, so npm can be killed. */
const STOP_DEADLINE_MS = 2000;

/**
 * Runs one step of the set-up, and stops it if the launcher gets a signal.
 * @returns the step's exit code, or null if it was interrupted
 */
export async function runStep(lock, command, args, options, watch = () => undefined) {
  const child = spawn(command, args, options);
  if (child.pid) lock.add(child.pid);
  watch(child);
  let impatience;
  let stopped = false;
  const stop = () => {
    stopped = true;
    child.kill('SIGTERM');
    impatience ??= setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      // After a signal, npm exits with its own code and message.
      child.once('close', (code) => resolve(stopped ? null : code));
    });
  } finally {
    clearTimeout(impatience);
    for (const signal of SIGNALS) process.off(signal, stop);
  }
}
