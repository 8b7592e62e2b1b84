import { spawn } from 'node:child_process';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Runs one step of the set-up, which ends when we are told to. @returns its exit code, null when a signal ended it */
export async function runStep(lock, command, args, options, watch = () => undefined) {
  const child = spawn(command, args, options);
  if (child.pid) lock.add(child.pid);
  watch(child);
  const stop = () => child.kill('SIGTERM');
  for (const signal of SIGNALS) process.on(signal, stop);
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop);
  }
}
