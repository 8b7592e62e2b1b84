import { parentPort } from 'node:worker_threads';
import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import * as common from '@zxcvbn-ts/language-common';

/* `password-strength.ts` runs this in a separate thread: one result for each message. It imports no code of ours. */

const zxcvbn = new ZxcvbnFactory({ dictionary: { ...common.dictionary }, graphs: common.adjacencyGraphs });

parentPort!.on('message', ({ password, aboutTheUser }: { password: string; aboutTheUser: string[] }) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
  parentPort!.postMessage(zxcvbn.check(password, aboutTheUser).score);
});
