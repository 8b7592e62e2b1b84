import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyCharacter } from '../../test/support/any-text.js';
import { foldPath } from '#libs/platform/folded-path.js';
import { endpointOf } from './endpoint.js';

describe('a path', () => {
  it.each([
    ['/orders', '/orders'],
    ['/orders/42', '/orders/:id'],
    ['/orders/42/lines/7', '/orders/:id/lines/:id'],
    ['/v1/orders', '/v1/orders'],
    ['/users/0190f5a2-7b3c-7d4e-8f00-123456789abc', '/users/:id'],
    ['/users/0190F5A2-7B3C-7D4E-8F00-123456789ABC/keys', '/users/:id/keys'],
    ['/api/v1/api-keys/key_01h455vb4pex5vsknk084sn02q/usage', '/api/v1/api-keys/:id/usage'],
    ['/items/line_item_01h455vb4pex5vsknk084sn02q', '/items/:id'],
    ['/items/01ARZ3NDEKTSV4RRFFQ69G5FAV', '/items/:id'],
    ['/commits/da39a3ee5e6b4b0d3255bfef95601890afd80709', '/commits/:id'],
    ['/images/507f1f77bcf86cd799439011/', '/images/:id/'],
    ['/facade/decade', '/facade/decade'],
    ['/hello-2-world', '/hello-2-world'],
    [`/share/${'x'.repeat(65)}`, '/share/:id'],
    ['/nul\u0000s/\ud800', '/nuls/\ufffd'],
    ['/orders;jsessionid=0/42;v=1', '/orders/:id'],
    ['', ''],
  ])('%j is counted as %j', (path, folded) => {
    expect(foldPath(path)).toBe(folded);
  });

  it('that is too long is cut between two segments', () => {
    const folded = foldPath('/segment'.repeat(100));
    expect(folded).toBe(`${'/segment'.repeat(24)}/…`);
  });
});

const segment = fc.oneof(
  fc.string({ unit: anyCharacter, maxLength: 80 }),
  fc.stringMatching(/^[0-9a-f_-]{0,40}$/),
  fc.nat().map(String),
  fc.uuid(),
  fc.constantFrom('orders', ':id', '…', '', 'v1'),
);
const anyPath = fc.oneof(
  fc.string({ unit: anyCharacter, maxLength: 2_000 }),
  fc.array(segment, { maxLength: 60 }).map((segments) => segments.join('/')),
);

it('folding any path is idempotent and bounded, and gives text that the database accepts', () => {
  fc.assert(
    fc.property(anyPath, (path) => {
      const folded = foldPath(path);
      expect(foldPath(folded)).toBe(folded);
      expect(folded.length).toBeLessThanOrEqual(200);
      expect(folded.isWellFormed()).toBe(true);
      expect(folded).not.toMatch(/\p{Cc}/u);
    }),
    { numRuns: 1_000 },
  );
});

it('ids of any form are folded, so that many ids do not make many endpoints', () => {
  fc.assert(
    fc.property(fc.oneof(fc.nat().map(String), fc.uuid(), fc.ulid()), (id) => {
      expect(foldPath(`/orders/${id}/lines`)).toBe('/orders/:id/lines');
    }),
  );
});

describe('an endpoint', () => {
  it.each([
    ['GET', '/orders/1', 'GET /orders/:id'],
    ['post', '/orders', 'POST /orders'],
    [null, '/orders', '/orders'],
    ['GET', null, 'GET'],
    [null, null, '(none)'],
    ['', '', '(none)'],
    ['G\u0000ET /x', '/orders', 'GETX /orders'],
    ['x'.repeat(30), null, 'X'.repeat(20)],
  ])('of %j and %j is %j', (method, path, endpoint) => {
    expect(endpointOf({ method, path })).toBe(endpoint);
  });
});
