import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/**
 * A TCP proxy between the API and its database. It can be cut, or hang: still connected, but silent.
 * @param resets which connections are reset as soon as they begin, by their number from 1
 */
export async function createCable(target: URL, resets: (connection: number) => boolean = () => false) {
  let connections = 0;
  const pairs = new Set<readonly [Socket, Socket]>();
  let state: 'whole' | 'cut' | 'hanging' = 'whole';
  const server = createServer((near) => {
    connections += 1;
    if (state === 'cut') {
      near.destroy();
      return;
    }
    if (resets(connections)) {
      near.on('error', () => undefined).once('data', () => near.resetAndDestroy());
      return;
    }
    const far = connect(Number(target.port), target.hostname);
    const pair = [near, far] as const;
    pairs.add(pair);
    for (const [from, to] of [pair, [far, near] as const]) {
      from
        .on('error', () => undefined)
        .on('close', () => {
          to.destroy();
          pairs.delete(pair);
        });
    }
    if (state === 'whole') join(pair);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    cut() {
      state = 'cut';
      for (const [near, far] of pairs) {
        near.destroy();
        far.destroy();
      }
    },
    hang() {
      state = 'hanging';
      for (const [near, far] of pairs) {
        near.unpipe(far);
        far.unpipe(near);
      }
    },
    /** Data sent while it hung arrives now. */
    mend() {
      if (state === 'hanging') for (const pair of pairs) join(pair);
      state = 'whole';
    },
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

function join([near, far]: readonly [Socket, Socket]): void {
  near.pipe(far);
  far.pipe(near);
}
