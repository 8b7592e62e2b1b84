import { UniqueConstraintViolationException } from '@mikro-orm/core';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { Changes } from '#libs/admission/changes.js';
import { turnOf } from '#libs/auth/principal.js';
import type { ImportedKey } from '#libs/contract/api-key-import.js';
import type { FieldError } from '#libs/contract/problem.js';
import { Authorities } from '#libs/organizations/authorities.service.js';
import type { Authority } from '#libs/organizations/authority.js';
import { includesKey, type Rights } from '#libs/organizations/rights.js';
import { Clock } from '#libs/platform/clock.js';
import { DomainError, invalidInput } from '#libs/platform/errors.js';
import { respond } from '#libs/platform/idempotency.js';
import { ApiKeyCreation, type AllowedKey } from './api-key-creation.service.js';
import { ApiKeyLimits } from './api-key-limits.js';
import { ApiKey, ApiKeySecret } from './api-key.entity.js';
import { newApiKey } from './new-api-key.js';
import { ImportedTokens } from './verification/imported-tokens.js';

/** What becomes of a row: the id of the key, if there is one. */
export interface RowOutcome {
  readonly result: 'imported' | 'existing';
  readonly id: string | null;
}

interface Plan {
  /** For each row, the id of the key that has its hash already. */
  readonly existing: readonly (string | undefined)[];
  /** The other rows, in order. */
  readonly allowed: readonly AllowedKey[];
  /** Whether a node may not know yet that the deployment has imported keys. */
  readonly isNews: boolean;
}

type MayImport = Authority<'api-keys:manage'>;

/** Another call may import the same hash at the same time. The second attempt then finds its key. */
const ATTEMPTS = 3;

/** Creates keys whose secrets another system has made, by the hashes of their tokens. */
@Injectable()
export class ApiKeyImport {
  constructor(
    private readonly clock: Clock,
    private readonly changes: Changes,
    private readonly authorities: Authorities,
    private readonly creation: ApiKeyCreation,
    private readonly limits: ApiKeyLimits,
    private readonly tokens: ImportedTokens,
  ) {}

  /** Checks what {@link import} checks. It waits for its turn as a change does, because it takes the same locks. */
  tryOut<R extends object>(
    authority: MayImport,
    rows: readonly ImportedKey[],
    present: (outcomes: readonly RowOutcome[]) => R,
  ): Promise<R> {
    const { caller, organizationId } = authority;
    return this.changes.create(turnOf(caller), organizationId, async ({ em }) => {
      const own = await this.authorities.requireNow(em, authority);
      const { existing, allowed } = await this.#plan(em, authority, own, rows, this.clock.now(), false);
      for (const [projectId, keys] of Map.groupBy(allowed, ({ wanted }) => wanted.projectId)) {
        await this.limits.refuseTooMany(em, organizationId, projectId, keys.length);
      }
      await this.limits.refuseTooMany(em, organizationId, null, allowed.length);
      return respond(em, caller.context, present(outcomesOf(existing, [])));
    });
  }

  /** All keys or none. @throws DomainError whose errors name each bad row */
  async import<R extends object>(
    authority: MayImport,
    rows: readonly ImportedKey[],
    present: (outcomes: readonly RowOutcome[]) => R,
  ): Promise<R> {
    for (let attempt = 1; ; attempt++) {
      try {
        const { response, isNews } = await this.#importOnce(authority, rows, present);
        if (isNews) await this.tokens.noticed();
        return response;
      } catch (error) {
        if (!(error instanceof UniqueConstraintViolationException) || attempt === ATTEMPTS) throw error;
      }
    }
  }

  #importOnce<R extends object>(
    authority: MayImport,
    rows: readonly ImportedKey[],
    present: (outcomes: readonly RowOutcome[]) => R,
  ): Promise<{ response: R; isNews: boolean }> {
    const { caller, organizationId } = authority;
    return this.changes.create(turnOf(caller), organizationId, async (change) => {
      const { em } = change;
      const own = await this.authorities.requireNow(em, authority);
      const now = this.clock.now();
      const plan = await this.#plan(em, authority, own, rows, now, true);
      const { existing, allowed, isNews } = plan;
      const made = await this.creation.store(change, authority, own, 'api_key.imported', allowed, now);
      const response = await respond(em, caller.context, present(outcomesOf(existing, made)));
      return { response, isNews };
    });
  }

  /** Decides for each row what becomes of it. @throws DomainError whose errors name each bad row */
  async #plan(
    em: EntityManager,
    authority: MayImport,
    own: Rights,
    rows: readonly ImportedKey[],
    now: Date,
    locked: boolean,
  ): Promise<Plan> {
    const handles = rows.map(({ hash }) => this.tokens.handleOf(Buffer.from(hash, 'hex')));
    const owners = await ownersOf(em, handles);
    const projectIds = rows.map((row) => row.project_id ?? own.projectId);
    const surroundings = await this.creation.surroundings(em, authority.organizationId, projectIds, locked);
    const firsts = new Map<string, number>();
    const faults = new RowFaults();
    const existing: (string | undefined)[] = [];
    const allowed: AllowedKey[] = [];
    for (const [index, row] of rows.entries()) {
      const handle = handles[index]!;
      const first = firsts.get(handle);
      const owner = owners.get(handle);
      existing.push(owner?.id);
      if (first !== undefined) {
        faults.add(index, sameAs(first));
        continue;
      }
      firsts.set(handle, index);
      if (!owner) {
        faults.catch(index, () => {
          const request = this.creation.requested(authority, newApiKey(row));
          const wanted = this.creation.authorize(own, surroundings, request, now);
          allowed.push({ request, wanted, secret: { handle, hash: null, prefix: row.prefix } });
        });
      } else if (owner.organizationId !== authority.organizationId || !includesKey(own, owner)) {
        faults.add(index, ofOthers());
      }
    }
    faults.refuse();
    return { existing, allowed, isNews: allowed.length > 0 && !(await this.tokens.areNoticed(em)) };
  }
}

function outcomesOf(existing: Plan['existing'], made: readonly ApiKey[]): RowOutcome[] {
  const rest = made.values();
  return existing.map((id) =>
    id === undefined ? { result: 'imported', id: rest.next().value?.id ?? null } : { result: 'existing', id },
  );
}

/** The keys that have these secrets, by their handles. */
async function ownersOf(em: EntityManager, handles: readonly string[]): Promise<Map<string, ApiKey>> {
  const secrets = await em.find(ApiKeySecret, { handle: { $in: [...handles] } });
  const keys = await em.find(ApiKey, { id: { $in: secrets.map(({ apiKeyId }) => apiKeyId) } });
  const byId = new Map(keys.map((apiKey) => [apiKey.id, apiKey]));
  return new Map(secrets.map(({ handle, apiKeyId }) => [handle, byId.get(apiKeyId)!]));
}

const sameAs = (first: number) =>
  invalidInput({ location: 'body.hash', message: `must not be repeated: keys[${first}] has it, too` });

/** Does not say whose key it is. */
const ofOthers = () => invalidInput({ location: 'body.hash', message: 'belongs to a key that is not yours to import' });

/** The field of a row that an error without a location is about. Without one, it is about the row. */
const FIELDS: Partial<Record<DomainError['code'], string>> = { not_found: 'body.project_id' };

/** Why rows cannot be imported. */
class RowFaults {
  readonly #codes = new Set<DomainError['code']>();
  readonly #errors: FieldError[] = [];

  catch(index: number, check: () => void): void {
    try {
      check();
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      this.add(index, error);
    }
  }

  add(index: number, { code, message, extra }: DomainError): void {
    const row = `body.keys[${index}]`;
    const errors = extra.errors ?? [{ location: FIELDS[code] ?? 'body', message }];
    this.#codes.add(code);
    this.#errors.push(...errors.map((error) => ({ ...error, location: error.location.replace(/^body/, row) })));
  }

  /** @throws DomainError with the code of all rows, or `invalid_request` if they have several */
  refuse(): void {
    if (this.#errors.length === 0) return;
    const invalid = invalidInput(...this.#errors);
    const [code, ...others] = this.#codes;
    throw others.length > 0 ? invalid : new DomainError(code!, invalid.message, invalid.extra);
  }
}
