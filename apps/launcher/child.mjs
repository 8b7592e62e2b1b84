import { spawn } from 'node:child_process';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** npm first waits for what it has asked the network. What is interrupted here is done again, so it may be cut off. */
const STOP_DEADLINE_MS = 2000;

/** Runs one step of the set-up, which ends when we are told to. @returns its exit code, null when it was cut off */
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
      // npm responds to a signal with a code and a report of its own.
      child.once('close', (code) => resolve(stopped ? null : code));
    });
  } finally {
    clearTimeout(impatience);
    for (const signal of SIGNALS) process.off(signal, stop);
  }
}
