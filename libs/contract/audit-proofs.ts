import { z } from 'zod';
import { parseTilePath } from '#libs/tlog/tiles.js';
import { idOf } from './ids.js';
import { defineRoute } from './route.js';
import { wholeNumber } from './whole-number.js';

/** The number of leaves that a number of JavaScript can count. */
const MOST = Number.MAX_SAFE_INTEGER;

const Hash = z.base64().length(44);
const proofs = z.array(Hash);
const size = z.int().min(0);

const whose =
  'Covers one organization: `organization_id`, or else the personal organization of the user or the one of the key. ';

export const tlogTile = defineRoute({
  method: 'GET',
  path: '/tlog/:id/tile/*tile',
  tag: 'Audit proofs',
  summary: 'Download a tile or an entry bundle of an audit log',
  description:
    'The paths of C2SP `tlog-tiles`: `<L>/<N>` has 256 hashes of 32 bytes of level L, and `entries/<N>` has 256 entries, each ' +
    'after its length as two bytes. N is in groups of three digits, such as `x001/234`. `.p/<W>` at the end asks for the ' +
    'first W of them, also when there are more. What a path returns never changes. A full entry bundle comes with ' +
    '`Content-Encoding: zstd` to a client that accepts it.',
  policy: { scope: 'audit:read', organization: 'path', reach: 'organization' },
  params: z.strictObject({
    id: idOf('org'),
    tile: z
      .string()
      .max(100)
      .refine(
        (path) => parseTilePath(path) !== null,
        'must be the path of a tile, such as 0/x001/234 or entries/000.p/17',
      )
      .meta({ examples: ['0/x001/234', '1/000.p/5', 'entries/000.p/17'] }),
  }),
  success: { status: 200, stream: ['application/octet-stream'] },
  problems: ['not_found', 'audit_log_damaged', 'audit_log_pruned', 'rate_limited'],
});

export const tlogCheckpoint = defineRoute({
  method: 'GET',
  path: '/tlog/:id/checkpoint',
  tag: 'Audit proofs',
  summary: 'Get a signed checkpoint of an audit log',
  description:
    'The present size and root of the log, as C2SP `tlog-checkpoint` defines it: a note with the lines origin, size and ' +
    'root, and an Ed25519 signature. Every checkpoint of a log continues all earlier ones. If that is not certain, none is signed.',
  policy: { scope: 'audit:read', organization: 'path', reach: 'organization' },
  params: z.strictObject({ id: idOf('org') }),
  success: { status: 200, stream: ['text/plain; charset=utf-8'] },
  problems: ['not_found', 'checkpoint_unavailable'],
});

export const tlogVkeys = defineRoute({
  method: 'GET',
  path: '/tlog/:id/vkey',
  tag: 'Audit proofs',
  summary: 'List the public keys of an audit log',
  description:
    'One key on each line, the newest first, in the form `name+id+key` of C2SP `signed-note`: those that sign, and those that ' +
    'have signed and are not compromised. The name is the origin of the log. Keep the key apart from the log: it decides which checkpoints you trust.',
  policy: { scope: 'audit:read', organization: 'path', reach: 'organization' },
  params: z.strictObject({ id: idOf('org') }),
  success: { status: 200, stream: ['text/plain; charset=utf-8'] },
  problems: ['not_found', 'checkpoint_unavailable'],
});

export const auditEventReceipt = defineRoute({
  method: 'GET',
  path: '/api/v1/audit/events/:leaf_index/receipt',
  tag: 'Audit proofs',
  summary: 'Get a receipt of an event',
  description:
    `${whose}Everything that proves the event, in one text to keep (C2SP \`tlog-proof\`): the exact bytes of the entry, an ` +
    'inclusion proof, and a signed checkpoint. Anyone with the public key can verify it without us. With `witnessed`, the ' +
    'checkpoint is an earlier one, and leads to the cosignatures of witnesses.',
  policy: { scope: 'audit:read', organization: 'query', reach: 'organization' },
  params: z.strictObject({ leaf_index: wholeNumber(0, MOST) }),
  query: z.strictObject({
    organization_id: idOf('org').optional(),
    witnessed: z.enum(['true', 'false']).default('false'),
  }),
  success: { status: 200, stream: ['text/plain; charset=utf-8'] },
  problems: [
    'not_found',
    'not_witnessed',
    'audit_log_damaged',
    'audit_log_pruned',
    'checkpoint_unavailable',
    'rate_limited',
  ],
});

export const proveAuditEvent = defineRoute({
  method: 'GET',
  path: '/api/v1/audit/events/:leaf_index/proof',
  tag: 'Audit proofs',
  summary: 'Prove that an event is in the audit log',
  description:
    `${whose}The inclusion proof (RFC 9162, section 2.1.3) of the entry with this leaf index in the tree of \`size\` entries, or ` +
    'else of all entries. The leaf hash is SHA-256 over a zero byte and the exact bytes of the entry.',
  policy: { scope: 'audit:read', organization: 'query', reach: 'organization' },
  params: z.strictObject({ leaf_index: wholeNumber(0, MOST) }),
  query: z.strictObject({ organization_id: idOf('org').optional(), size: wholeNumber(1, MOST).optional() }),
  success: {
    status: 200,
    body: z.strictObject({
      leaf_index: size,
      leaf_hash: Hash,
      size,
      root: Hash,
      proof: proofs.meta({ description: 'The hashes from the sibling of the leaf upwards' }),
    }),
  },
  problems: ['not_found', 'audit_log_damaged', 'audit_log_pruned', 'rate_limited'],
});

export const proveAuditConsistency = defineRoute({
  method: 'GET',
  path: '/api/v1/audit/consistency',
  tag: 'Audit proofs',
  summary: 'Prove that the audit log only grew',
  description:
    `${whose}The consistency proof (RFC 9162, section 2.1.4) between the trees of the first \`from\` and the first \`to\` entries. ` +
    'Without `to`: of all entries.',
  policy: { scope: 'audit:read', organization: 'query', reach: 'organization' },
  query: z.strictObject({
    organization_id: idOf('org').optional(),
    from: wholeNumber(0, MOST),
    to: wholeNumber(0, MOST).optional(),
  }),
  success: {
    status: 200,
    body: z.strictObject({ from: size, from_root: Hash, to: size, to_root: Hash, proof: proofs }),
  },
  problems: ['not_found', 'audit_log_damaged', 'audit_log_pruned', 'rate_limited'],
});
