import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyCharacter } from '../../test/support/any-text.js';
import { DomainEvent } from './events.js';
import { fromUuid, isId } from './ids.js';
import { packedAlone, packUses, unpackUses, useEvent, type UseRecord } from './use-records.js';

const source = 'https://keys.example.com';
const secret = {
  apiKeyId: 'key_01m7x8e321e0c9ct382g7f705r',
  organizationId: 'org_01m7x8e2jmepwajdepw3q2qspf',
  projectId: 'proj_01m7x8e2spesabexb98rz8j9vc',
  secretId: 'secret_01m7x8e321ef0vf5jtqxppnjy4',
};
const publicKey = { ...secret, projectId: null, secretId: null };
const common = {
  at: 1_795_800_000_123,
  seq: 7,
  requestId: 'req_01m7x8e2spesabexb98rz8j9vc',
  ip: '203.0.113.7',
  userAgent: 'curl/8.5.0',
  method: 'GET',
  path: '/v1/agents/42',
  pageOrigin: null,
  cost: 1,
  scopes: ['agents:read'],
};

/** Outboxes of version 0.1.0 contain such texts: never change them, and never change what is read from them. */
const GOLDEN_TEXT =
  '["https://keys.example.com",[["key_01m7x8e321e0c9ct382g7f705r","org_01m7x8e2jmepwajdepw3q2qspf","proj_01m7x8e2spesabexb98rz8j9vc","secret_01m7x8e321ef0vf5jtqxppnjy4"],["key_01m7x8e321e0c9ct382g7f705r","org_01m7x8e2jmepwajdepw3q2qspf",null,null]],[[0,null,1795800000123,7,"req_01m7x8e2spesabexb98rz8j9vc","203.0.113.7","curl/8.5.0",null,"GET","/v1/agents/42",null,null,1,["agents:read"],null],[1,"req_01m7x8e35zet99g38grpgx2r39",1795800000123,7,"f00ba4","203.0.113.7",null,"management","GET","/api/v1/whoami","/api/v1/whoami","https://shop.example",0,[],{"type":"user","id":"user_01m7x8e2jmeab9mr1vyfg3p508"}]]]';
const GOLDEN_ENTRIES = [
  '{"specversion":"1.0","id":"req_01m7x8e2spesabexb98rz8j9vc","source":"https://keys.example.com","type":"api_key.used","time":"2026-11-27T17:20:00.123Z","subject":"key_01m7x8e321e0c9ct382g7f705r","datacontenttype":"application/json","data":{"organization_id":"org_01m7x8e2jmepwajdepw3q2qspf","actor":{"type":"api_key","id":"key_01m7x8e321e0c9ct382g7f705r"},"ip":"203.0.113.7","user_agent":"curl/8.5.0","request_id":"req_01m7x8e2spesabexb98rz8j9vc","seq":7,"project_id":"proj_01m7x8e2spesabexb98rz8j9vc","method":"GET","path":"/v1/agents/42","secret_id":"secret_01m7x8e321ef0vf5jtqxppnjy4","cost":1,"scopes":["agents:read"]}}',
  '{"specversion":"1.0","id":"req_01m7x8e35zet99g38grpgx2r39","source":"https://keys.example.com","type":"api_key.used","time":"2026-11-27T17:20:00.123Z","subject":"key_01m7x8e321e0c9ct382g7f705r","datacontenttype":"application/json","data":{"organization_id":"org_01m7x8e2jmepwajdepw3q2qspf","actor":{"type":"api_key","id":"key_01m7x8e321e0c9ct382g7f705r"},"ip":"203.0.113.7","user_agent":null,"request_id":"f00ba4","seq":7,"surface":"management","method":"GET","path":"/api/v1/whoami","route":"/api/v1/whoami","credential":"public_key","origin":"https://shop.example","cost":0,"scopes":[],"verified_by":{"type":"user","id":"user_01m7x8e2jmeab9mr1vyfg3p508"}}}',
];

const eventsIn = (text: string) => {
  const uses = unpackUses(text);
  return uses.rows.map((_, n) => useEvent(uses, n));
};

describe('records of uses of version 0.1.0', () => {
  it('are still read as the same entries, byte for byte', () => {
    expect(eventsIn(GOLDEN_TEXT).map((event) => JSON.stringify(event))).toEqual(GOLDEN_ENTRIES);
  });

  it('are still written in the same way', () => {
    const [first, second] = (JSON.parse(GOLDEN_TEXT) as unknown[][][])[2]!;
    const uses: UseRecord[] = [
      { ...common, key: secret },
      {
        ...common,
        key: publicKey,
        requestId: 'f00ba4',
        userAgent: null,
        surface: 'management',
        path: '/api/v1/whoami',
        route: '/api/v1/whoami',
        pageOrigin: 'https://shop.example',
        cost: 0,
        scopes: [],
        verifiedBy: { type: 'user', id: 'user_01m7x8e2jmeab9mr1vyfg3p508' },
      },
    ];
    const packed = JSON.parse(packUses(source, uses)) as unknown[][][];
    expect(packed[2]![0]).toEqual(first);
    // Its id is new, because its request id is not ours.
    expect(packed[2]![1]).toEqual(second!.with(1, expect.any(String)));
  });
});

const text = fc.string({ unit: anyCharacter });
const orNull = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: null });
const use = fc.record({
  key: fc.constantFrom(secret, publicKey),
  at: fc.integer({ min: 0, max: 4_000_000_000_000 }),
  seq: fc.nat(),
  requestId: fc.oneof(
    text,
    fc.uuid({ version: 7 }).map((uuid) => fromUuid('req', uuid)),
  ),
  ip: orNull(text),
  userAgent: orNull(text),
  surface: fc.constantFrom('management' as const, undefined),
  method: orNull(text),
  path: orNull(text),
  route: fc.option(text, { nil: undefined }),
  pageOrigin: orNull(text),
  cost: fc.nat(),
  scopes: fc.constantFrom([], ['agents:read'], ['agents:read', 'runs:write']),
  verifiedBy: fc.constantFrom(undefined, { type: 'api_key' as const, id: secret.apiKeyId, secret_id: secret.secretId }),
});

describe('a record of a use', () => {
  it('becomes an event of the documented shape that says what the record says, alone or among others', () => {
    fc.assert(
      fc.property(fc.array(use, { minLength: 1, maxLength: 5 }), (uses) => {
        const packed = unpackUses(packUses(source, uses));
        for (const [n, record] of uses.entries()) {
          const event = useEvent(packed, n);
          expect(DomainEvent.parse(JSON.parse(JSON.stringify(event)))).toMatchObject({
            time: new Date(record.at).toISOString(),
            subject: record.key.apiKeyId,
            data: {
              organization_id: record.key.organizationId,
              ip: record.ip,
              user_agent: record.userAgent,
              request_id: record.requestId,
              path: record.path,
              cost: record.cost,
            },
          });
          expect(eventsIn(packedAlone(packed, n))).toEqual([event]);
        }
      }),
    );
  });

  it('has its request id as its id, or one of its own if the client chose the request id', () => {
    const [own, foreign] = eventsIn(
      packUses(source, [
        { ...common, key: secret },
        { ...common, key: secret, requestId: 'f00ba4' },
      ]),
    );
    expect(own!.id).toBe(common.requestId);
    expect(isId('req', foreign!.id)).toBe(true);
    expect(foreign!.data['request_id']).toBe('f00ba4');
  });

  it('is rejected if any field has another type', () => {
    const packed = JSON.parse(GOLDEN_TEXT) as [string, unknown[], unknown[][]];
    const row = packed[2][1]!;
    const wrong = [{}, [1], true, 1.5];
    const readRow = (other: unknown) => useEvent(unpackUses(JSON.stringify([source, packed[1], [other]])), 0);
    for (const [place, value] of row.entries()) {
      for (const other of wrong) {
        if (JSON.stringify(other) === JSON.stringify(value)) continue;
        expect(() => readRow(row.with(place, other))).toThrow('Not the record of a');
      }
    }
    for (const at of [-1, 253_402_300_800_000]) {
      expect(() => readRow(row.with(2, at))).toThrow('Not the record of a use');
    }
    for (const other of [row.slice(1), [...row, null], 'x', null]) {
      expect(() => readRow(other)).toThrow('Not the record of a use');
    }
    for (const [place, value] of (packed[1][0] as unknown[]).entries()) {
      for (const other of [...wrong, 'x', `${String(value)}x`]) {
        const keys = [(packed[1][0] as unknown[]).with(place, other)];
        const uses = unpackUses(JSON.stringify([source, keys, [packed[2][0]]]));
        expect(() => useEvent(uses, 0)).toThrow('Not the record of a key');
      }
    }
    expect(() => unpackUses('{}')).toThrow('Not a list of uses');
  });
});
