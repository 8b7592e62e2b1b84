import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readConfigWithoutDatabase } from '#libs/platform/config.js';
import { newSigningKey, publicKeyList, signed } from '../../test/support/github.js';
import { GitHubPublicKeys } from './github-public-keys.js';

const [key, ofOtherCurve] = [newSigningKey('p256'), newSigningKey('p384', 'secp384r1')];
const list = publicKeyList([key, ofOtherCurve]);
const body = '[]';

/** `accepted`, or the code and the detail of the rejection. */
async function outcome(place: string | undefined, by = key): Promise<string> {
  const keys = new GitHubPublicKeys(readConfigWithoutDatabase(place === undefined ? {} : { GITHUB_KEYS: place }));
  const headers = signed(body, by);
  const [id, signature] = [headers['github-public-key-identifier']!, headers['github-public-key-signature']!];
  return keys.requireSignature(Buffer.from(body), id, signature).then(
    () => 'accepted',
    ({ code, message }: { code: string; message: string }) => `${code}: ${message}`,
  );
}

describe('the public keys of GitHub', () => {
  let folder: string;
  let server: Server;
  let url: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keyledger-github-'));
    server = createServer((request, response) => {
      if (request.url === '/moved') response.writeHead(302, { location: '/list' }).end();
      else if (request.url === '/long') response.end(list + ' '.repeat(70_000));
      else if (request.url === '/list') response.end(list);
      else response.writeHead(500).end(list);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterAll(async () => {
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true });
  });

  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };

  it('are read from a file and from an address', async () => {
    expect(await outcome(await file('list', list))).toBe('accepted');
    expect(await outcome(`${url}/list`)).toBe('accepted');
  });

  it('are those on P-256 alone', async () => {
    expect(await outcome(`${url}/list`, ofOtherCurve)).toMatch(/^invalid_signature: The key identifier/);
  });

  it('accept nothing if there are none', async () => {
    expect(await outcome(undefined)).toMatch(/^invalid_signature: This deployment knows no/);
    expect(await outcome(await file('empty', '{"public_keys":[]}'))).toMatch(/^invalid_signature/);
  });

  it('accept nothing if they cannot be read, and say so', async () => {
    const broken = [
      await file('no JSON', 'public_keys'),
      await file('no list', '{"keys":[]}'),
      await file('no PEM', list.replaceAll('BEGIN', 'BEGUN')),
      join(folder, 'missing'),
      folder,
      `${url}/moved`,
      `${url}/long`,
      `${url}/error`,
      'http://127.0.0.1:1/list',
    ];
    for (const place of broken)
      expect([place, await outcome(place)]).toEqual([place, expect.stringMatching(/^public_keys_unavailable/)]);
  });

  it.each(['http://github.example/list', 'list.json', 'ftp://127.0.0.1/list', 'https://'])(
    'are not read from %s',
    (place) => {
      expect(() => readConfigWithoutDatabase({ GITHUB_KEYS: place })).toThrow(/^GITHUB_KEYS must be the https address/);
    },
  );
});
