import type { Tree } from '#libs/tlog/proofs.js';
import type { Message, Reply } from './whole-log-reply.js';

/** Hashes the bundles of a log, one after the other. */
export interface Hasher {
  readonly add: (message: Message) => Promise<Reply>;
}

/** Hashes in another thread, so that the page stays responsive. @param signal ends the thread */
export function startHasher(tree: Tree, signal: AbortSignal): Hasher {
  const worker = new Worker(new URL('./whole-log.worker.ts', import.meta.url), { type: 'module' });
  let waiting: PromiseWithResolvers<Reply> | undefined;
  let failure: Error | undefined;
  const fail = (error: Error) => {
    worker.terminate();
    failure = error;
    waiting?.reject(error);
  };
  worker.addEventListener('message', ({ data }: MessageEvent<Reply>) => waiting?.resolve(data));
  worker.addEventListener('error', ({ message }) => fail(new Error(message || 'The verification could not start')));
  signal.addEventListener('abort', () => fail(signal.reason as Error), { once: true });
  worker.postMessage(tree);
  return {
    add: (message) => {
      if (failure) return Promise.reject(failure);
      waiting = Promise.withResolvers();
      worker.postMessage(message, buffersOf(message));
      return waiting.promise;
    },
  };
}

/** The buffers are handed over, not copied. */
function buffersOf(message: Message): ArrayBuffer[] {
  if (message === null) return [];
  if ('roots' in message) return [message.roots.buffer];
  return [message.bytes.buffer, ...(message.hashes ? [message.hashes.buffer] : [])];
}
