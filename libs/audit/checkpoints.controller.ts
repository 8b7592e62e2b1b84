import { Controller, StreamableFile } from '@nestjs/common';
import { auditEventReceipt, tlogCheckpoint, tlogVkeys } from '#libs/contract/audit-proofs.js';
import type { RouteInput } from '#libs/contract/route.js';
import { Authorized, type AuthorityOf } from '#libs/organizations/authority.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { Checkpoints } from './checkpoints.js';
import { WitnessedReceipts } from './witnessed-receipts.js';

@Controller()
export class CheckpointsController {
  constructor(
    private readonly checkpoints: Checkpoints,
    private readonly witnessed: WitnessedReceipts,
  ) {}

  @Implements(tlogCheckpoint)
  async checkpoint(@Authorized() { organizationId }: AuthorityOf<typeof tlogCheckpoint>): Promise<StreamableFile> {
    return text((await this.checkpoints.sign(organizationId)).note);
  }

  @Implements(tlogVkeys)
  async vkeys(@Authorized() { organizationId }: AuthorityOf<typeof tlogVkeys>): Promise<StreamableFile> {
    return text((await this.checkpoints.vkeys(organizationId)).map((vkey) => `${vkey}\n`).join(''));
  }

  @Implements(auditEventReceipt)
  async receipt(
    @Input() { params, query }: RouteInput<typeof auditEventReceipt>,
    @Authorized() { organizationId }: AuthorityOf<typeof auditEventReceipt>,
  ): Promise<StreamableFile> {
    const receipts = query.witnessed === 'true' ? this.witnessed : this.checkpoints;
    return text(await receipts.receipt(organizationId, params.leaf_index));
  }
}

function text(content: string): StreamableFile {
  return new StreamableFile(Buffer.from(content), { type: 'text/plain; charset=utf-8' });
}
