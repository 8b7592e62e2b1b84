import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import type { OperatorPrincipal, UserPrincipal } from '#libs/auth/principal.js';
import type { FoundObject } from '#libs/contract/find.js';
import { fromUuid, isId, REQUEST_ID, toUuid } from '#libs/contract/ids.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import type { BuiltInScope } from '#libs/contract/scopes.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import { ApiKeyOwners } from '#libs/organizations/api-key-owners.js';
import { Authorities } from '#libs/organizations/authorities.service.js';
import type { AuthorityInEach } from '#libs/organizations/authority.js';
import { OperatorReads } from '#libs/organizations/operator-reads.js';
import { includesKey, type Rights } from '#libs/organizations/rights.js';
import { AuditReader } from './audit-reader.js';
import { DeploymentSearch } from './deployment-search.js';
import { eventOf, type Leaf } from './leaf.js';
import { organizationNames } from './organization-names.js';

/** How long a search of the audit logs of the caller's organizations may take. */
const SEARCH_MS = 1_000;
/** Events of one request in one audit log, and organizations in which operators find a request. */
const MOST_EVENTS = 20;
const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/;

type RightsIn = ReadonlyMap<string, Rights>;
/** A result without the name of its organization. */
type Place = Omit<FoundObject, 'organization'> & { readonly organizationId: string };

/** Finds what an id or a key belongs to, among what the caller may see. */
@Injectable()
export class Finder {
  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly authorities: Authorities,
    private readonly apiKeys: ApiKeyOwners,
    private readonly reads: OperatorReads,
    private readonly reader: AuditReader,
    private readonly search: DeploymentSearch,
  ) {}

  /** @param term as `searchTermOf` returns it: it has no more of a secret than lists show */
  async find(caller: UserPrincipal, term: string): Promise<{ data: FoundObject[]; complete: boolean }> {
    const operator = isOperator(caller) ? caller : undefined;
    if (operator) await this.reads.record(operator, DEPLOYMENT_ID, { find: term });
    const [readsKeys, reads, readsLogs] = await Promise.all(
      (['api-keys:read', 'organizations:read', 'audit:read'] as const).map((scope) => this.#rights(caller, scope)),
    );
    const places = [
      ...(await this.#keys(term, readsKeys!, operator)),
      ...(await this.#objects(term)),
      ...(UUID.test(term) ? await this.#event(term) : []),
    ];
    const visible = places.flatMap((place): Place[] => {
      if (place.kind === 'api_key') return [place];
      const isMembers = (place.kind === 'event' ? readsLogs! : reads!).has(place.organizationId);
      return isMembers || operator ? [{ ...place, as_operator: !isMembers }] : [];
    });
    const isRequest = places.length === 0 && REQUEST_ID.test(term);
    const requests = isRequest ? await this.#requests(term, readsLogs!, operator) : { found: [], complete: true };
    const found = [...visible, ...requests.found];
    if (operator) await this.#recordReads(operator, term, found);
    return { data: await this.#named(found), complete: requests.complete };
  }

  /** Each organization sees in its own audit log what an operator found there. */
  async #recordReads(operator: OperatorPrincipal, term: string, found: readonly Place[]): Promise<void> {
    const foreign = found.filter((place) => place.as_operator).map(({ organizationId }) => organizationId);
    for (const id of new Set(foreign)) if (id !== DEPLOYMENT_ID) await this.reads.record(operator, id, { find: term });
  }

  async #rights(caller: UserPrincipal, scope: BuiltInScope): Promise<RightsIn> {
    const permission = { scope, organization: 'each', reach: 'organization' } as const;
    return ((await this.authorities.authorize(caller, permission, {}, true)) as AuthorityInEach).rightsIn;
  }

  async #keys(term: string, readsKeys: RightsIn, operator: OperatorPrincipal | undefined): Promise<Place[]> {
    const found = await this.apiKeys.find(term);
    return found.flatMap((key) => {
      const rights = readsKeys.get(key.organizationId);
      const isMembers = rights !== undefined && includesKey(rights, key);
      if (!isMembers && !operator) return [];
      const { id, name, status, organizationId, secret } = key;
      const shown = secret && { id: secret.id, ended_at: secret.endedAt?.toISOString() ?? null };
      return [
        { ...NOTHING, kind: 'api_key', id, name, status, organizationId, secret: shown, as_operator: !isMembers },
      ];
    });
  }

  async #objects(term: string): Promise<Place[]> {
    if (isId('proj', term)) {
      const { rows } = await this.pool.query<{ organization_id: string; name: string; deleted: boolean }>(
        'SELECT organization_id, name, deleted_at IS NOT NULL AS deleted FROM project WHERE id = $1',
        [toUuid(term)],
      );
      return rows.map(({ deleted, ...row }) => ({
        ...placeIn(row, 'project', term),
        status: deleted ? 'deleted' : 'active',
      }));
    }
    if (isId('user', term)) {
      const { rows } = await this.pool.query<{ organization_id: string; name: string }>(
        'SELECT organization_id, name FROM membership JOIN user_account ON id = user_id WHERE user_id = $1 ORDER BY 1',
        [toUuid(term)],
      );
      return rows.map((row) => placeIn(row, 'user', term));
    }
    if (!isId('org', term)) return [];
    const { rows } = await this.pool.query<{ organization_id: string; name: string }>(
      'SELECT id AS organization_id, name FROM organization WHERE id = $1',
      [toUuid(term)],
    );
    return rows.map((row) => placeIn(row, 'organization', term));
  }

  /** Uses have the ids of their requests. Denials are found by the ids of their requests, too. */
  async #event(id: string): Promise<Place[]> {
    const { rows } = await this.pool.query<{ organization_id: string; name: string; index: number; time: Date }>(
      // A pruned one may not be erased yet.
      `SELECT organization_id, type AS name, leaf_index::float8 AS index, time
       FROM audit_management_event JOIN audit_log USING (organization_id) WHERE id = $1 AND leaf_index >= minimum_index`,
      [id],
    );
    return rows.map(({ index, time, ...row }) => ({
      ...placeIn(row, 'event', id),
      leaf_index: index,
      time: time.toISOString(),
    }));
  }

  /** The events that a request caused. Operators get the newest one of each organization where they are no member. */
  async #requests(requestId: string, readsLogs: RightsIn, operator: OperatorPrincipal | undefined) {
    const deadline = performance.now() + SEARCH_MS;
    const found: Place[] = [];
    let complete = true;
    for (const organizationId of readsLogs.keys()) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) return { found, complete: false };
      const page = { span: await this.reader.extent(organizationId), order: 'desc' } as const;
      const part = await this.reader.find({ organizationId, filter: { requestId } }, page, MOST_EVENTS + 1, leftMs);
      found.push(...part.found.slice(0, MOST_EVENTS).map((leaf) => placeOf(leaf, organizationId)));
      complete &&= part.reached === null && part.found.length <= MOST_EVENTS;
    }
    if (!operator) return { found, complete };
    const others = await this.search.matches({ requestId }, MOST_EVENTS);
    for (const { id, leaf } of others.matches)
      if (leaf && !readsLogs.has(id)) found.push({ ...placeOf(leaf, id), as_operator: true });
    return { found, complete: complete && others.complete };
  }

  async #named(places: readonly Place[]): Promise<FoundObject[]> {
    const ids = [...new Set(places.map(({ organizationId }) => organizationId))];
    const names = await organizationNames(this.pool, ids);
    return places.map(({ organizationId: id, ...place }) => ({
      ...place,
      organization: { id, name: names.get(id) ?? '' },
    }));
  }
}

/** What most results do not have. */
const NOTHING = { status: null, secret: null, leaf_index: null, time: null, as_operator: false } as const;

function placeIn(row: { organization_id: string; name: string }, kind: FoundObject['kind'], id: string): Place {
  return { ...NOTHING, kind, id, name: row.name, organizationId: fromUuid('org', row.organization_id) };
}

function placeOf(leaf: Leaf, organizationId: string): Place {
  const { event } = eventOf(leaf);
  return {
    ...NOTHING,
    kind: 'event',
    id: event.id,
    name: event.type,
    organizationId,
    leaf_index: leaf.index,
    time: event.time,
  };
}

function isOperator(caller: UserPrincipal): caller is OperatorPrincipal {
  return caller.operator;
}
