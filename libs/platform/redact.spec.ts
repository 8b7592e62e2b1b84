import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { generateToken, parseToken } from '#libs/api-key-format/token.js';
import { anyCharacter } from '../../test/support/any-text.js';
import { redact, withoutSecrets } from './redact.js';

const key = generateToken('sk_live');
const { display } = parseToken(key)!;
const publicKey = generateToken('pk_live');
const base64 = 'Zq0_-'.repeat(9).slice(0, 43);

describe('redaction removes from a text of a caller', () => {
  it.each([
    ['a key in a path', `/v1/${key}/x`, `/v1/${display}…/x`],
    ['a key glued to a name', `/v1/my_key_${key}`, `/v1/my_key_${display}…`],
    ['a pair', `${publicKey}:${key}`, `${publicKey}:${display}…`],
    ['a refresh token', `rt_${base64}`, 'rt_…'],
    ['a one-time token', `/invitation/invite_${base64}?x`, '/invitation/invite_…?x'],
    ['a key that is glued to what follows', `/v1/${key}abc`, `/v1/${display}…abc`],
    ['a key with capitals before and after', `X${key}Y`, `X${display}…Y`],
    ['the later of two tokens that overlap', `rt_${'a'.repeat(20)}_rt_${base64}`, 'rt_…'],
    ['a key that is encoded', `/v1/${key.replaceAll('_', '%5f')}`, `/v1/${display.replaceAll('_', '%5f')}…`],
    ['a key that is encoded twice', `/v1/${key.replaceAll('_', '%255F')}`, `/v1/${display.replaceAll('_', '%255F')}…`],
    ['an access token', 'curl/8 eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1c2VyIn0.c2lnbmF0dXJl', 'curl/8 eyJ…'],
  ])('%s', (_what, text, shown) => expect(withoutSecrets(text)).toBe(shown));
});

describe('redaction keeps', () => {
  it.each([
    ['a public key', `/v1/${publicKey}`],
    ['base64 of other text', `Basic ${btoa('ada:a password that is long enough to be a key')}`],
    ['base64 of a public key', btoa(publicKey)],
    ['a path of letters', '/api/v1/organizations/members/invitations/customers/1234567890/orders'],
    ['text that resembles a key', '/v1/file_0123456789abcdef0123456789abcdef'],
    ['an id', '/api/v1/api-keys/key_01h455vb4pex5vsknk084sn02q'],
    [
      'a browser',
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0',
    ],
  ])('%s', (_what, text) => expect(withoutSecrets(text)).toBe(text));
});

/** Percent-encodes the characters that `encoded` selects. */
function percentEncode(text: string, encoded: (at: number) => boolean, upper: (at: number) => boolean): string {
  return text
    .split('')
    .map((character, at) => {
      if (!encoded(at)) return character;
      const hex = character.charCodeAt(0).toString(16).padStart(2, '0');
      return `%${upper(at) ? hex.toUpperCase() : hex}`;
    })
    .join('');
}

/** Decodes like a lenient server: invalid escapes stay as they are. */
function percentDecode(text: string): string {
  return text.replace(/%([0-7][0-9a-f])/gi, (_escape, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function decodings(text: string): string[] {
  const all = [text];
  while (all.length < 5) all.push(percentDecode(all.at(-1)!));
  return all;
}

const base64url = (length: number) => fc.stringMatching(new RegExp(`^[A-Za-z0-9_-]{${length}}$`));
/** A secret, and the index from which it may never be shown. */
const anySecret = fc.oneof(
  fc
    .constantFrom('sk_live', 'sk_test', 'cagi', 'c', 'a1_b2', `a${'b'.repeat(30)}`)
    .map((prefix) => ({ secret: generateToken(prefix), from: prefix.length + 1 + 6 })),
  fc.constant(0).map(() => ({ secret: `${generateToken('pk_live')}:${generateToken('sk_live')}`, from: 41 + 8 + 6 })),
  fc
    .constantFrom('rt', 'invite', 'reset')
    .chain((name) => base64url(43).map((random) => ({ secret: `${name}_${random}`, from: name.length + 1 }))),
  fc
    .tuple(base64url(30), base64url(100), base64url(86))
    .map(([header, payload, signature]) => ({ secret: `eyJ${header}.eyJ${payload}.${signature}`, from: 140 })),
);
const surroundings = fc.oneof(
  fc.stringMatching(/^[a-zA-Z0-9_./%-]{0,40}$/),
  fc.string({ unit: anyCharacter, maxLength: 40 }),
  fc.constantFrom('', '%25', '%2', '%', 'rt_', 'eyJ', '/my_key_', '/v1/'),
);

/** The text, and every text that base64 in it can be decoded to, from any character on, and the same of these. */
function readings(text: string, rounds = 2): string[] {
  if (rounds === 0) return [text];
  const parts = text.match(/[\w+/-]{30,}/g) ?? [];
  const decoded = parts.flatMap((part) =>
    [0, 1, 2, 3].map((skipped) => Buffer.from(part.slice(skipped), 'base64').toString('latin1')),
  );
  return [text, ...decoded.flatMap((inner) => decodings(inner).flatMap((each) => readings(each, rounds - 1)))];
}

describe('redaction removes from base64', () => {
  const encodings = { base64: 'base64', base64url: 'base64url' } as const;

  describe.each(Object.values(encodings))('%s', (encoding) => {
    const encode = (text: string) => Buffer.from(text).toString(encoding);

    it.each([
      ['Basic credentials', `Basic ${encode(`ada:${key}`)}`],
      ['Basic credentials without a password', `curl/8 Basic ${encode(`${key}:`)}`],
      ['a pair', `Basic ${encode(`${publicKey}:${key}`)}`],
      ['a key', encode(key)],
      ['a key that is glued to letters', `/v1/xy${encode(`z${key}?`)}`],
      ['a key beside other secrets', encode(`{"a":"${key}","b":"rt_${base64}"}`)],
      ['a key whose base64 is percent-encoded', `Basic%20${encodeURIComponent(encode(`ü:${key}`))}`],
      ['a key that is percent-encoded', encode(key.replaceAll('_', '%5F'))],
      ['a key in base64 twice', encode(`Basic ${encode(`ada:${key}`)}`)],
      ['a one-time token', encode(`reset_${base64}`)],
    ])('%s', (_what, text) => {
      const shown = withoutSecrets(text);
      expect(shown).toContain('…');
      for (const from of [text, percentDecode(text)])
        expect(readings(from).join()).toMatch(/[0-9A-Za-z]{32}|_[\w-]{43}/);
      for (const reading of [...readings(shown), ...readings(percentDecode(shown))]) {
        for (const secret of [key.slice(-20), base64.slice(-20)]) expect(reading).not.toContain(secret);
      }
    });
  });

  it('a secret beside any other text, also if the text is cut anywhere', () => {
    const text = fc.string({ unit: anyCharacter, maxLength: 20 });
    const plain = fc.stringMatching(/^[a-zA-Z0-9_./ -]{0,40}$/);
    fc.assert(
      fc.property(
        anySecret,
        text,
        text,
        plain,
        plain,
        fc.constantFrom(...Object.values(encodings)),
        fc.nat(300),
        (known, before, after, outer, last, encoding, max) => {
          const encoded = Buffer.from(before + known.secret + after).toString(encoding);
          const whole = `${outer} ${encoded} ${last}`;
          for (const shown of [withoutSecrets(whole), withoutSecrets(whole, max)]) {
            for (const reading of readings(shown, 1)) {
              for (let at = known.from; at + 12 <= known.secret.length; at++) {
                const part = known.secret.slice(at, at + 12);
                if (reading.includes(part)) throw new Error(`${part} is in ${shown}`);
              }
            }
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('a secret in any transformed form', () => {
  const disguised = fc
    .record({
      known: anySecret,
      before: surroundings,
      after: surroundings,
      rounds: fc.nat(3),
      share: fc.constantFrom(0, 1, 2, 3, 8),
      seed: fc.nat(),
    })
    .map(({ known, before, after, rounds, share, seed }) => {
      let text = known.secret;
      for (let round = 0; round < rounds; round++) {
        const chosen = (at: number) => share > 0 && (at * 7 + seed + round) % share === 0;
        text = percentEncode(text, chosen, (at) => (at + seed) % 2 === 0);
      }
      return { ...known, before, after, text: before + text + after };
    });

  it('is not in any decoding of the redacted text', () => {
    fc.assert(
      fc.property(disguised, ({ secret, text }) => {
        for (const decoded of decodings(withoutSecrets(text))) expect(decoded).not.toContain(secret);
      }),
      { numRuns: 1_000 },
    );
  });

  it('has no part left after truncation', () => {
    fc.assert(
      fc.property(disguised, fc.nat(4_000), fc.nat(400), ({ secret, from, before, text }, padding, cut) => {
        // An escape that begins before a secret and ends inside it changes the secret.
        fc.pre(decodings(before).every((decoded) => !/%.?$/s.test(decoded)));
        const padded = '/'.repeat(padding) + text;
        const shown = withoutSecrets(padded, padding + cut);
        expect(shown.length).toBeLessThanOrEqual(padding + cut);
        const decoded = decodings(shown);
        for (let at = from; at + 12 <= secret.length; at++) {
          const part = secret.slice(at, at + 12);
          if (decoded.some((text) => text.includes(part))) throw new Error(`${part} is in ${shown}`);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

it('text without a secret is unchanged', () => {
  const hex = fc.stringMatching(/^[0-9a-f]{40}$/);
  const word = fc.oneof(
    fc.stringMatching(/^[a-z]{1,12}$/),
    fc.uuid(),
    fc.nat().map(String),
    hex.map((digits) => `file_${digits}`),
    hex.map((digits) => digits.slice(0, 32)),
    fc.base64String({ maxLength: 80 }),
    fc.constantFrom('key_01h455vb4pex5vsknk084sn02q', '%2F', '%20', '100%', 'caf%C3%A9', '%2525', publicKey),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 40 }), fc.constantFrom('/', '-', ' ', '.'), (words, separator) => {
      const text = words.join(separator);
      expect(withoutSecrets(text)).toBe(text);
    }),
    { numRuns: 1_000 },
  );
});

describe('redaction takes linear time', () => {
  const times = (text: string) =>
    [1, 2, 3].map(() => {
      const begin = process.cpuUsage();
      redact(text);
      const { user, system } = process.cpuUsage(begin);
      return (user + system) / 1_000;
    });

  it.each([
    'eyJ',
    'eyJa.',
    'rt_',
    '_',
    `_${'a'.repeat(32)}`,
    `a_${'0'.repeat(32)}`,
    '%',
    '%25',
    '25%',
    '%5f',
    '%2525',
    'A',
    'QUFB',
    'A-',
    '+/',
    `${'A'.repeat(46)} `,
    'X19f',
    'YV8wMDAwMDAw',
    'WDE5Zg',
    '://',
    '://a:',
    '://a:b@',
    'bearer ',
    ' ',
    '?a',
    '?a=',
    '@',
  ])('for repeated %j', (unit) => {
    const text = unit.repeat(Math.ceil(100_000 / unit.length));
    const quarter = Math.min(...times(text.slice(0, text.length / 4)));
    // The 100 ms allow for other load on the machine. Quadratic time would be seconds here.
    expect(Math.min(...times(text))).toBeLessThan(Math.max(8 * quarter, 100));
  });

  it('for escapes and base64 within each other, as for base64 alone', () => {
    const escapes = '%252525252541';
    const encoded = (text: string) => escapes + Buffer.from(text).toString('base64url');
    const text = encoded(encoded(escapes + 'X_xX_xX'.repeat(10_000)));
    const plain = Math.min(...times(Buffer.from('X_xX_xX'.repeat(13_000)).toString('base64url')));
    expect(Math.min(...times(text))).toBeLessThan(Math.max(8 * plain, 100));
  });
});

describe('redaction of a log line also removes', () => {
  it.each([
    ['the password in an address', 'at postgres://ada:pa/ss@db:5432/x', 'at postgres://ada:…@db:5432/x'],
    ['a password without a name', 'redis://:secret@host', 'redis://:…@host'],
    ['a header', 'authorization: Bearer abc.def, x', 'authorization: Bearer …, x'],
    ['the values of a query', 'GET /x?token=abc&other=1 failed', 'GET /x?token=…&other=… failed'],
    [
      'of names that are written in any way',
      'GET /x?a[b]=1&c%5B%5D=2&d+e=3&é=4 failed',
      'GET /x?a[b]=…&c%5B%5D=…&d+e=…&é=… failed',
    ],
  ])('%s', (_what, line, shown) => expect(redact(line)).toBe(shown));

  it('but keeps the stack locations', () => {
    const stack = 'Error: no\n    at verify (file:///app/dist/libs/auth/passwords.js:12:5)\n    at node:internal/x:1:2';
    expect(redact(stack)).toBe(stack);
  });
});
