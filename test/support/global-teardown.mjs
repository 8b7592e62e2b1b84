import { rm } from 'node:fs/promises';
import { readLeftOut } from './left-out-notes.mjs';

export default async function globalTeardown() {
  const { directory, postgres, redis, dropTemplate } = globalThis.keyledgerTest;
  redis?.stop();
  await dropTemplate();
  await postgres.stop();
  const leftOut = readLeftOut();
  await rm(directory, { recursive: true, force: true });
  if (leftOut.length === 0) return;
  const reasons = leftOut.map(({ why, how }) => `${why}, to have it: ${how}`).join('; ');
  process.stderr.write(`\nleft out: ${leftOut.length} (${reasons})\n`);
  if (process.env.CI) throw new Error('Nothing may be left out with CI set');
}
