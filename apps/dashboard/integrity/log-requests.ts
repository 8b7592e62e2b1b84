import { z } from 'zod';
import { allPages } from '#libs/client/all-pages.js';
import { UnexpectedResponse } from '#libs/client/client.js';
import { hashFromBase64 } from '#libs/tlog/bytes.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import type { KeyRotation } from '#libs/tlog/rotation.js';
import { formatTilePath, type Tile } from '#libs/tlog/tiles.js';
import { apiWith } from '../session/session.js';

/** What proves the audit log of an organization. */
export interface LogRequests {
  readonly checkpoint: () => Promise<string>;
  /** The public keys, those of the current epoch first. */
  readonly vkeys: () => Promise<string[]>;
  readonly receipt: (index: number) => Promise<string>;
  readonly consistencyProof: (from: number, to: number) => Promise<Uint8Array[]>;
  /** How the keys of the log follow each other, in the order of the log. */
  readonly rotations: () => Promise<KeyRotation[]>;
  /** Entries below this leaf index were pruned: 0 if none were. */
  readonly prunedBelow: () => Promise<number>;
  readonly tile: (tile: Tile) => Promise<Uint8Array<ArrayBuffer>>;
}

/** Nothing comes from the browser's cache: it may keep entries that the server no longer sends. */
export function logRequests(organizationId: string, signal?: AbortSignal): LogRequests {
  const { audit } = apiWith({ cache: 'no-store', ...(signal && { signal }) });
  const params = { id: organizationId };
  const query = { organization_id: organizationId };
  return {
    checkpoint: async () => (await audit.checkpoint({ params })).text(),
    vkeys: async () => (await (await audit.vkeys({ params })).text()).trim().split('\n'),
    receipt: async (index) => (await audit.receipt({ params: { leaf_index: index }, query })).text(),
    consistencyProof: async (from, to) => {
      const { proof } = await wellFormed(audit.proveConsistency({ query: { ...query, from, to } }));
      return proof.map((hash) => hashFromBase64('A hash of the consistency proof', hash));
    },
    rotations: async () => {
      const events = await allPages((cursor) =>
        audit.listEvents({ query: { ...query, type: ROTATED, order: 'asc', cursor } }),
      );
      return events.flatMap(({ event }): KeyRotation | KeyRotation[] => Rotation.safeParse(event.data).data ?? []);
    },
    prunedBelow: async () => (await audit.getRetention({ params })).pruned_below ?? 0,
    tile: async (tile) => {
      const response = await audit.tile({ params: { ...params, tile: formatTilePath(tile) } });
      return new Uint8Array(await response.arrayBuffer());
    },
  };
}

const ROTATED = 'audit_log.key_rotated';
/** The note proves it, whatever the event says. */
const Rotation = z.object({ vkey: z.string(), note: z.string().exactOptional() });

/** A proof that the API would never send proves as little as a wrong one. */
async function wellFormed<T>(response: Promise<T>): Promise<T> {
  try {
    return await response;
  } catch (error) {
    if (error instanceof UnexpectedResponse)
      throw new ProofError('The consistency proof is malformed', { cause: error });
    throw error;
  }
}
