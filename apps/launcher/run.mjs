import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** A terminal signals the whole process group and npm passes the same signal on: one wish, which arrives several times. */
const SAME_WISH_MS = 500;
const PARENT_POLL_MS = 300;

/** Runs the program in our place until it ends. @returns the exit code to end with */
export function handOver(root, node, args, { service }) {
  return new Promise((resolve, reject) => {
    // The channel closes when we die, however that came: a service ends itself then.
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

/** Compiled code of the libraries, which saves a quarter of a start's work. An installation throws it away. */
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
 * npm cannot tell us that it was killed, and the shell between may outlive it: a changed parent or grandparent does.
 * Started by hand, we are meant to outlive our parent if the user wants that.
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

/** Undefined where there is no /proc; there, /bin/sh replaces itself by us and npm is the direct parent. */
function parentOf(pid) {
  try {
    // The command's name stands in brackets and may hold anything.
    const [, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return Number(parent);
  } catch {
    return undefined;
  }
}
