import { z } from 'zod';
import { idOf } from './ids.js';
import { defineRoute } from './route.js';

const size = z.int().min(0);
const vkey = z.string().meta({ description: 'In the form `name+id+key` of C2SP `signed-note`' });
const time = z.iso.datetime();

export const auditIntegrity = defineRoute({
  method: 'GET',
  path: '/api/v1/audit/integrity',
  tag: 'Audit proofs',
  summary: 'Get the state of the proofs of an audit log',
  description:
    'Covers one organization: `organization_id`, or else the personal organization of the user or the one of the key. The ' +
    'present checkpoint, the keys of all epochs, and what the witnesses have cosigned. It proves nothing by itself: the ' +
    'signed texts do.',
  policy: { scope: 'audit:read', organization: 'query', reach: 'organization' },
  query: z.strictObject({ organization_id: idOf('org').optional() }),
  success: {
    status: 200,
    body: z.strictObject({
      checkpoint: z.strictObject({ origin: z.string(), size, root: z.base64().length(44) }).nullable(),
      unavailable: z.string().nullable().meta({ description: 'Why no checkpoint can be signed' }),
      epochs: z
        .array(
          z.strictObject({
            number: z.int(),
            origin: z.string(),
            keys: z.array(
              z.strictObject({
                vkey,
                ends_at: time.nullable().meta({ description: 'When the key stops signing; null for the newest' }),
                compromised: z.boolean(),
              }),
            ),
          }),
        )
        .meta({ description: 'The current one first, with the newest key first' }),
      witnesses: z
        .strictObject({
          quorum: z.int().meta({ description: 'How many witnesses must cosign' }),
          log_of_heads: z.strictObject({
            size,
            vkeys: z.array(vkey).meta({ description: 'The keys that a witness must know, the newest first' }),
          }),
          cosigned: z
            .strictObject({
              size: size.meta({ description: 'The number of events of this audit log that are covered' }),
              at: time,
            })
            .nullable(),
          witnesses: z.array(
            z.strictObject({
              name: z.string(),
              vkey,
              cosigned_at: time.nullable().meta({ description: 'The time in its last cosignature' }),
              is_up_to_date: z.boolean().meta({ description: 'Whether it has cosigned all of the log of heads' }),
              failed_at: time.nullable().meta({ description: 'When it was asked last, if it did not cosign then' }),
            }),
          ),
        })
        .nullable()
        .meta({ description: 'Null if the deployment has no witnesses' }),
    }),
  },
  problems: ['not_found'],
});
