import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** A terminal signals the whole process group and npm passes the signal on, so one signal arrives several times. */
const SAME_WISH_MS = 500;
const PARENT_POLL_MS = 300;

/** Runs the program until it ends. @returns the exit code to end with */
export function handOver(root, node, args, { service }) {
  return new Promise((resolve, reject) => {
    // The channel closes when this process dies in any way; a service then stops.
    const stdio = service ? ['inherit', 'inherit', 'inherit', 'ipc'] : 'inherit';
    const child = spawn(node, ['--enable-source-maps', ...args], {
      stdio,
      env: { ...compileCache(root), ...process.env },
    });
    const endWatch = service ? watchParents(() => child.kill('SIGTERM')) : () => undefined;
    passSignalsOn(child);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      endWatch();
      if (child.connected) child.disconnect();
      resolve(code ?? 128 + constants.signals[signal]);
    });
  });
}

/** Caches the compiled code of the libraries, which saves a quarter of the start. An installation deletes the cache. */
function compileCache(root) {
  return { NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'keyledger') };
}

function passSignalsOn(child) {
  let last = -Infinity;
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      const now = performance.now();
      if (now - last > SAME_WISH_MS) child.kill(signal);
      last = now;
    });
  }
}

/**
 * Detects that npm was killed, also if the shell between survives: the parent or the grandparent then changes. A start
 * without npm may outlive its parent.
 */
function watchParents(onGone) {
  if (!process.env.npm_lifecycle_event) return () => undefined;
  const shell = process.ppid;
  const npm = parentOf(shell);
  const timer = setInterval(() => {
    if (process.ppid === shell && parentOf(shell) === npm) return;
    clearInterval(timer);
    onGone();
  }, PARENT_POLL_MS);
  return () => clearInterval(timer);
}

/** Undefined without /proc. On Linux, /bin/sh replaces itself by this process, so that npm is the direct parent. */
function parentOf(pid) {
  try {
    // The command's name is in parentheses and may contain anything.
    const [, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return Number(parent);
  } catch {
    return undefined;
  }
}
