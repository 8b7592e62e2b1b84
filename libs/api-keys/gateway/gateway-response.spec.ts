import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createApiKey } from '#libs/contract/api-keys.js';
import type { ApiKeyRecord } from '../verification/verification.js';
import { anyCharacter } from '../../../test/support/any-text.js';
import { acceptance } from './gateway-response.js';

const HEADER = 'x-api-key-external-id';

const recordOf = (externalId: string | null) =>
  ({
    organizationId: 'org_1',
    projectId: null,
    apiKeyId: 'key_1',
    environment: 'test',
    externalId,
    scopes: [],
  }) as unknown as ApiKeyRecord;
const headerOf = (externalId: string | null) => acceptance(recordOf(externalId)).headers[HEADER]!;

/** Reads the header as an upstream API does. */
const read = (header: string) => (header === '-' ? null : decodeURIComponent(header));

const externalId = fc
  .oneof(
    fc.string({ unit: anyCharacter }),
    fc.string({ unit: fc.constantFrom('-', '%', '2', 'D', ' ', '\r', '\n', '\0', 'ü', '💡', ',') }),
    fc.constantFrom('-', '%2D', '%2d', '--', ' - ', '-\r\nX-Organization-Id: other', 'x'.repeat(200)),
  )
  .filter((text) => createApiKey.body.shape.external_id.safeParse(text).success && text.isWellFormed());

describe('the external id in the headers of a gateway', () => {
  it('is decoded to the original, and differs from a missing one', () => {
    fc.assert(
      fc.property(fc.option(externalId), (id) => {
        expect(read(headerOf(id))).toBe(id);
      }),
    );
  });

  it('differs for different ids', () => {
    expect(headerOf('-')).not.toBe(headerOf(null));
    fc.assert(
      fc.property(fc.option(externalId), fc.option(externalId), (a, b) => {
        expect(headerOf(a) === headerOf(b)).toBe(a === b);
      }),
    );
  });

  it('has only characters that are allowed in headers', () => {
    fc.assert(
      fc.property(externalId, (id) => {
        expect(headerOf(id)).toMatch(/^[!-~]+$/);
      }),
    );
  });
});
