import { parentPort } from 'node:worker_threads';
import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import * as common from '@zxcvbn-ts/language-common';

/* Runs in a thread of its own, by `password-strength.ts`: one question, one answer. It imports nothing of ours. */

const zxcvbn = new ZxcvbnFactory({ dictionary: { ...common.dictionary }, graphs: common.adjacencyGraphs });

parentPort!.on('message', ({ password, aboutTheUser }: { password: string; aboutTheUser: string[] }) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
  parentPort!.postMessage(zxcvbn.check(password, aboutTheUser).score);
});
