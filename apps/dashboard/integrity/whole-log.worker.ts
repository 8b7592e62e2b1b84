import type { Tree } from '#libs/tlog/proofs.js';
import { WholeLog } from '#libs/tlog/whole-log.js';
import { replyTo, type Message } from './whole-log-reply.js';

/**
 * Hashes a whole log apart from the page. The page downloads the bundles, because only it has the access token. The
 * first message is the tree, and each later one gets a reply.
 */
self.addEventListener(
  'message',
  ({ data: tree }: MessageEvent<Tree>) => {
    const log = new WholeLog([tree]);
    self.addEventListener('message', ({ data }: MessageEvent<Message>) => self.postMessage(replyTo(log, data)));
  },
  { once: true },
);
