import { Controller, Headers, Res, StreamableFile } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { proveAuditConsistency, proveAuditEvent, tlogTile } from '#libs/contract/audit-proofs.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Authorized, type AuthorityOf } from '#libs/organizations/authority.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { AuditProofs } from './audit-proofs.js';

/** A tile never changes. The browser of one user may keep it, but no cache that several users share. */
const KEPT_FOR_A_YEAR = 'private, max-age=31536000, immutable';
/** Entries have personal data, and are pruned one day. */
const KEPT_FOR_A_DAY = 'private, max-age=86400, immutable';

@Controller()
export class AuditProofsController {
  constructor(private readonly proofs: AuditProofs) {}

  @Implements(tlogTile)
  async tile(
    @Input() { params }: RouteInput<typeof tlogTile>,
    @Authorized() { organizationId }: AuthorityOf<typeof tlogTile>,
    @Headers('accept-encoding') accepted: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<StreamableFile> {
    const { bytes, coding } = await this.proofs.tile(organizationId, params.tile, acceptsZstd(accepted));
    const isBundle = params.tile.startsWith('entries/');
    void reply.header('cache-control', isBundle ? KEPT_FOR_A_DAY : KEPT_FOR_A_YEAR);
    if (isBundle) void reply.header('vary', 'Accept-Encoding');
    if (coding) void reply.header('content-encoding', coding);
    return new StreamableFile(bytes, { type: 'application/octet-stream', length: bytes.length });
  }

  @Implements(proveAuditEvent)
  async inclusion(
    @Input() { params, query }: RouteInput<typeof proveAuditEvent>,
    @Authorized() { organizationId }: AuthorityOf<typeof proveAuditEvent>,
  ): Promise<RouteOutput<typeof proveAuditEvent>> {
    const { leafHash, tree, proof } = await this.proofs.inclusion(organizationId, params.leaf_index, query.size);
    return {
      leaf_index: params.leaf_index,
      leaf_hash: base64(leafHash),
      size: tree.size,
      root: base64(tree.root),
      proof: proof.map(base64),
    };
  }

  @Implements(proveAuditConsistency)
  async consistency(
    @Input() { query }: RouteInput<typeof proveAuditConsistency>,
    @Authorized() { organizationId }: AuthorityOf<typeof proveAuditConsistency>,
  ): Promise<RouteOutput<typeof proveAuditConsistency>> {
    const { from, to, proof } = await this.proofs.consistency(organizationId, query.from, query.to);
    return {
      from: from.size,
      from_root: base64(from.root),
      to: to.size,
      to_root: base64(to.root),
      proof: proof.map(base64),
    };
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

/** RFC 9110, section 12.5.3. A wildcard is no reason to compress. */
function acceptsZstd(accepted = ''): boolean {
  return accepted.split(',').some((each) => {
    const [coding, quality = 'q=1'] = each.split(';').map((part) => part.trim().toLowerCase());
    return coding === 'zstd' && Number(quality.slice('q='.length)) > 0;
  });
}
