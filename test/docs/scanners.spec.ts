import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import { generateToken } from '#libs/api-key-format/token.js';
import { leftOut } from '../support/left-out.js';
import { withOtherSecret } from '../support/tokens.js';

const PREFIXES = ['sk_live', 'sk_test', 'agk_live', 'cagi'];
const docs = (name: string) => new URL(`../../docs/${name}`, import.meta.url);

/** The regular expression in each file, as the scanner reads it. */
const files: readonly (readonly [name: string, expression: RegExp])[] = [
  ['scanners/gitleaks.toml', /^regex = '''(.+)'''$/m],
  ['scanners/trufflehog.yaml', /^ +secret: '(.+)'$/m],
  ['scanners/checksum.py', /^SECRET = re\.compile\(r"(.+)"\)$/m],
  ['api/leaked-keys.md', /^```text\n(.+)\n```$/m],
];

describe.each(files)('the regular expression in docs/%s', (name, place) => {
  const read = async () => new RegExp(place.exec(await readFile(docs(name), 'utf8'))![1]!);

  it.each(PREFIXES)('finds secrets that begin with %s, wherever they are', async (prefix) => {
    const expression = await read();
    for (let n = 0; n < 50; n++) {
      const secret = generateToken(prefix);
      for (const text of [secret, `KEY="${secret}"`, `(${secret})`, `curl -H X-API-Key:${secret}\n`])
        expect(expression.exec(text)?.[1]).toBe(secret);
    }
  });

  it('does not find near misses', async () => {
    const expression = await read();
    const secret = generateToken('sk_live');
    for (const text of [
      secret.slice(0, -1),
      `${secret}x`,
      `my${secret}`,
      secret.toUpperCase(),
      secret.replace('_live', '-live'),
      secret.replace(/.$/, '-'),
      generateToken('pk_live'),
      generateToken('sk_prod'),
      'sk_live_',
    ])
      expect([text, expression.test(text)]).toEqual([text, false]);
  });
});

it('the rules of both scanners have a keyword for each prefix: they look at nothing else', async () => {
  for (const [name] of files.slice(0, 2)) {
    const text = await readFile(docs(name), 'utf8');
    for (const prefix of PREFIXES) expect(text).toMatch(new RegExp(`["-] ?${prefix}_["\\n]`));
  }
});

it('docs/scanners/checksum.py prints the secrets with a right checksum, and no lookalike', () => {
  const secrets = PREFIXES.map(generateToken);
  const swapped = secrets.map((secret) =>
    secret.replace(/(.)(.)$/, (_, a: string, b: string) => (a === b ? `${a}-` : b + a)),
  );
  const lines = [
    ...secrets.map((secret) => `x = '${secret}'`),
    ...swapped,
    ...secrets.map((secret) => secret.slice(1)),
  ];
  // A right checksum says nothing about a key.
  const forged = withOtherSecret(secrets[0]!);
  const python = (input: string) =>
    execFileSync('python3', [docs('scanners/checksum.py').pathname], { input }).toString();
  try {
    expect(
      python([...lines, forged].join('\n'))
        .trim()
        .split('\n'),
    ).toEqual([...secrets, forged]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    leftOut('the checksum in Python', 'put python3 on the PATH');
  }
});
