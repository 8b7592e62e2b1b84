import { Controller, Res, StreamableFile } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import {
  exportAuditEvents,
  exportFormats,
  listApiKeyEvents,
  listAuditEvents,
  searchAuditLogs,
  tailAuditEvents,
  type AuditFilterName,
} from '#libs/contract/audit.js';
import { summarizeAuditEvents } from '#libs/contract/audit-summary.js';
import { listAuditNames } from '#libs/contract/audit-names.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Clock } from '#libs/platform/clock.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { Authorized, type AuthorityOf } from '#libs/organizations/authority.js';
import { Caller, type CallerOf } from '#libs/auth/principal.js';
import type { Criteria, StoredFilter } from './audit-filter.js';
import { AuditNames } from './audit-names.js';
import { AuditService } from './audit.service.js';
import { DeploymentSearch } from './deployment-search.js';

@Controller()
export class AuditController {
  constructor(
    private readonly audit: AuditService,
    private readonly clock: Clock,
    private readonly search: DeploymentSearch,
    private readonly names: AuditNames,
  ) {}

  @Implements(listAuditEvents)
  async list(
    @Input() { query }: RouteInput<typeof listAuditEvents>,
    @Authorized() authority: AuthorityOf<typeof listAuditEvents>,
  ): Promise<RouteOutput<typeof listAuditEvents>> {
    return present(await this.audit.list(authority, filterOf(query), query));
  }

  @Implements(summarizeAuditEvents)
  async summarize(
    @Input() { query }: RouteInput<typeof summarizeAuditEvents>,
    @Authorized() authority: AuthorityOf<typeof summarizeAuditEvents>,
  ): Promise<RouteOutput<typeof summarizeAuditEvents>> {
    return this.audit.summarize(authority, filterOf(query), query.cursor);
  }

  @Implements(listApiKeyEvents)
  async listOfApiKey(
    @Input() { params, query }: RouteInput<typeof listApiKeyEvents>,
    @Authorized() authority: AuthorityOf<typeof listApiKeyEvents>,
  ): Promise<RouteOutput<typeof listApiKeyEvents>> {
    const { from, to } = query;
    return present(await this.audit.listOfApiKey(authority, params.id, { ...criteriaOf(query), from, to }, query));
  }

  @Implements(listAuditNames)
  async listNames(
    @Input() { query: { ids, search, kind } }: RouteInput<typeof listAuditNames>,
    @Authorized() authority: AuthorityOf<typeof listAuditNames>,
  ): Promise<RouteOutput<typeof listAuditNames>> {
    return {
      data: await (ids ? this.names.ofIds(authority, ids) : this.names.matching(authority, search, kind)),
    };
  }

  @Implements(exportAuditEvents)
  async export(
    @Input() { query }: RouteInput<typeof exportAuditEvents>,
    @Authorized() authority: AuthorityOf<typeof exportAuditEvents>,
  ): Promise<StreamableFile> {
    const stream = await this.audit.export(authority, filterOf(query), query.format);
    const day = this.clock.now().toISOString().slice(0, 10);
    return new StreamableFile(stream, {
      type: exportFormats[query.format],
      disposition: `attachment; filename="audit-${authority.organizationId}-${day}.${query.format}"`,
    });
  }

  @Implements(tailAuditEvents)
  async tail(
    @Input() { query, headers }: RouteInput<typeof tailAuditEvents>,
    @Authorized() authority: AuthorityOf<typeof tailAuditEvents>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<StreamableFile> {
    const tail = await this.audit.tail(authority, filterOf(query), headers['last-event-id']);
    // A buffering proxy would delay the events.
    void reply.header('x-accel-buffering', 'no');
    return new StreamableFile(tail, { type: 'text/event-stream' });
  }

  @Implements(searchAuditLogs)
  async searchAll(
    @Input() { query }: RouteInput<typeof searchAuditLogs>,
    @Caller() caller: CallerOf<typeof searchAuditLogs>,
  ): Promise<RouteOutput<typeof searchAuditLogs>> {
    const { data, nextCursor, scannedTo } = await this.search.find(caller, criteriaOf(query), query);
    return { data, next_cursor: nextCursor, scanned_to: scannedTo };
  }
}

function present({ data, ...page }: Awaited<ReturnType<AuditService['list']>>): RouteOutput<typeof listAuditEvents> {
  return {
    data,
    next_cursor: page.nextCursor,
    previous_cursor: page.previousCursor,
    scanned_to: page.scannedTo,
    pruned_below: page.prunedBelow,
  };
}

type Query = RouteInput<typeof tailAuditEvents>['query'] &
  Partial<Pick<RouteInput<typeof exportAuditEvents>['query'], 'from' | 'to'>>;

function filterOf(query: Query): StoredFilter {
  const excluded = Object.entries(query).filter(([name]) => name.startsWith(NOT));
  const not = Object.fromEntries(excluded.map(([name, value]) => [name.slice(NOT.length), value]));
  return {
    ...criteriaOf(query),
    not: excluded.length > 0 ? criteriaOf(not) : undefined,
    from: query.from,
    to: query.to,
  };
}

const NOT = 'not_';

function criteriaOf(query: Partial<Pick<Query, AuditFilterName>>): Criteria {
  return {
    types: query.type,
    keyId: query.key_id,
    actorId: query.actor_id,
    subject: query.subject,
    outcomes: query.outcome,
    ip: query.ip,
    path: query.path,
    secretId: query.secret_id,
    verifiedBy: query.verified_by,
    projectIds: query.project_id ? [query.project_id] : undefined,
    requestId: query.request_id,
    userAgent: query.user_agent,
    search: query.search,
  };
}
