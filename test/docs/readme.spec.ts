import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect, it } from '@jest/globals';
import { routes } from '#libs/contract/routes.js';
import { startDeployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';

const run = promisify(execFile);

it("the README's main job works as printed, except for the address", async () => {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  const block = /```sh\n(BASE=.*?)```/s.exec(readme)![1]!;
  const deployment = await startDeployment({ env: { PUBLIC_URL: '' } });
  try {
    const script = `${block.replace(/^BASE=.*$/m, `BASE=${deployment.url}`)}\necho; echo "$TOKEN $ID"`;
    const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script]);
    const responses = stdout.trim().split(/(?<=})\n?(?={)|\n/);
    expect(responses.map((response) => response.slice(0, 12))).toEqual([
      expect.stringContaining('{"user":'),
      expect.stringContaining('{"type":"api'),
      expect.stringContaining('{"id":"key_'),
      // The response for the old secret, after the rotation.
      expect.stringContaining('{"type":"htt'),
      expect.stringContaining('{"data":['),
      expect.any(String),
    ]);
    expect(JSON.parse(responses[3]!)).toMatchObject({ status: 401, code: 'revoked' });

    const [token, id] = responses[5]!.split(' ');
    const auditLog = await eventually(
      () => deployment.client({ accessToken: token! }).audit.listEvents({ query: { key_id: id!, order: 'asc' } }),
      (response) => response.data.length === 4,
    );
    expect(auditLog.data.map(({ event }) => event.type)).toEqual([
      'api_key.created',
      'api_key.used',
      'api_key.rotated',
      'api_key.denied',
    ]);
  } finally {
    await deployment.stop();
  }
});

it('every file and folder that a document links to exists', async () => {
  const { access, readdir } = await import('node:fs/promises');
  const root = new URL('../../', import.meta.url);
  const documents = (await readdir(new URL('docs', root), { recursive: true })).map((name) => `docs/${name}`);
  for (const document of ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', ...documents]) {
    if (!document.endsWith('.md')) continue;
    const text = await readFile(new URL(document, root), 'utf8');
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)) {
      await expect(access(new URL(target!, new URL(document, root)))).resolves.toBeUndefined();
    }
  }
});

it('the package and the first paragraph call the audit log provable only if the API serves proofs of it', async () => {
  const root = new URL('../../', import.meta.url);
  const { description } = JSON.parse(await readFile(new URL('package.json', root), 'utf8')) as { description: string };
  const [, introduction] = (await readFile(new URL('README.md', root), 'utf8')).split('\n\n');
  const paths = Object.values(routes).flatMap((group) => Object.values(group).map(({ path }) => path));
  const isProved = paths.some((path) => path.endsWith('/proof'));
  for (const text of [description, introduction!]) expect(/\bprov(e|ed|able)\b/.test(text) && !isProved).toBe(false);
});
