import { Controller } from '@nestjs/common';
import { importApiKeys } from '#libs/contract/api-key-import.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Authorized, type AuthorityOf } from '#libs/organizations/authority.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { ApiKeyImport, type RowOutcome } from './api-key-import.service.js';

@Controller()
export class ApiKeyImportController {
  constructor(private readonly imports: ApiKeyImport) {}

  @Implements(importApiKeys)
  import(
    @Input() { body }: RouteInput<typeof importApiKeys>,
    @Authorized() authority: AuthorityOf<typeof importApiKeys>,
  ): Promise<RouteOutput<typeof importApiKeys>> {
    const { keys, dry_run: isDryRun } = body;
    const present = (outcomes: readonly RowOutcome[]) => ({
      organization_id: authority.organizationId,
      dry_run: isDryRun,
      imported: outcomes.filter(({ result }) => result === 'imported').length,
      existing: outcomes.filter(({ result }) => result === 'existing').length,
      data: outcomes.map((outcome, index) => ({ name: keys[index]!.name, ...outcome })),
    });
    return isDryRun ? this.imports.tryOut(authority, keys, present) : this.imports.import(authority, keys, present);
  }
}
