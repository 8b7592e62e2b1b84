import { Injectable } from '@nestjs/common';
import type { EventVerifier } from '#libs/contract/events.js';
import type { UsedKey, UseRecord } from '#libs/contract/use-records.js';
import { Clock } from '#libs/platform/clock.js';
import { PersonalData } from '#libs/platform/personal-data.js';

interface Use {
  readonly key: UsedKey;
  /** The sequence number of the authorization state under which it was decided. */
  readonly seq: number;
  readonly from: {
    readonly ip: string | null;
    readonly userAgent: string | null;
    readonly requestId: string;
    readonly origin: string | null;
  };
  readonly surface?: 'management' | undefined;
  readonly endpoint: { readonly method: string | null; readonly path: string | null; readonly route?: string };
  readonly cost: number;
  readonly scopes: readonly string[];
  readonly verifiedBy?: EventVerifier | undefined;
}

/** Makes the records of uses, without personal data that the deployment does not record. */
@Injectable()
export class Uses {
  constructor(
    private readonly clock: Clock,
    private readonly personalData: PersonalData,
  ) {}

  record({ key, seq, from, surface, endpoint, cost, scopes, verifiedBy }: Use): UseRecord {
    const { ip, user_agent: userAgent } = this.personalData.origin(from);
    return {
      key,
      at: this.clock.now().getTime(),
      seq,
      requestId: from.requestId,
      ip,
      userAgent,
      surface,
      method: endpoint.method,
      path: endpoint.path,
      route: endpoint.route,
      pageOrigin: from.origin,
      cost,
      scopes,
      verifiedBy,
    };
  }
}
