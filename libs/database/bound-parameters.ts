import {
  PostgreSqlConnection,
  PostgreSqlDriver,
  Utils,
  isRaw,
  raw,
  type AnyEntity,
  type Dictionary,
  type EntityData,
  type LoggingOptions,
  type NativeQueryBuilder,
  type QueryResult,
  type RawQueryFragment,
  type Transaction,
} from '@mikro-orm/postgresql';
import { CompiledQuery } from 'kysely';

export interface BoundStatement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/**
 * MikroORM writes the values of a statement into its text, and PostgreSQL logs the text of every statement that fails.
 * With this driver the text has `$1`, `$2` … and the values are sent separately, so that a failed statement writes no
 * password hash, token hash, name or e-mail address to the server's log.
 */
export class BoundParametersDriver extends PostgreSqlDriver {
  protected override readonly connection = new BoundParametersConnection(this.config);
  protected override readonly replicas = this.createReplicas(
    (options) => new BoundParametersConnection(this.config, options, 'read'),
  );
}

class BoundParametersConnection extends PostgreSqlConnection {
  override async execute<T extends QueryResult | EntityData<AnyEntity> | EntityData<AnyEntity>[]>(
    query: string | NativeQueryBuilder | RawQueryFragment,
    params: readonly unknown[] | Dictionary<unknown> = [],
    method: 'all' | 'get' | 'run' = 'all',
    transaction?: Transaction,
    loggerContext?: LoggingOptions,
  ): Promise<T> {
    await this.ensureConnection();
    const { sql, params: given } = asFragment(query, params);
    const { text, values } = bindParameters(sql, given, (name) => this.platform.quoteIdentifier(name));
    const client = (transaction ?? this.getClient()) as ReturnType<typeof this.getClient>;
    const run = async () =>
      this.transformRawResult<T>(await client.executeQuery(CompiledQuery.raw(text, [...values])), method);
    return this.executeQuery(text, run, loggerContext);
  }

  override stream(): never {
    throw new Error('Streams of MikroORM write values into the text of a statement; use the pool of pg instead');
  }
}

function asFragment(
  query: string | NativeQueryBuilder | RawQueryFragment,
  params: readonly unknown[] | Dictionary<unknown>,
): { readonly sql: string; readonly params: readonly unknown[] } {
  if (typeof query === 'string') return Array.isArray(params) ? { sql: query, params } : raw(query, params);
  return isRaw(query) ? query : query.toRaw();
}

/**
 * Reads `?`, `??` (an identifier) and `\?` (a question mark) as MikroORM does, but does not put the values into the
 * text.
 */
export function bindParameters(
  sql: string,
  params: readonly unknown[],
  quoteIdentifier: (name: string) => string,
): BoundStatement {
  if (params.length === 0) return { text: sql, values: [] };
  const values: unknown[] = [];
  const place = (value: unknown): string => {
    if (isRaw(value)) return write(value.sql, value.params);
    // A list, as in IN (?).
    if (Array.isArray(value)) return value.map(place).join(', ');
    if (value === undefined) throw new Error('A statement lacks a value');
    return `$${values.push(Utils.isPlainObject(value) ? JSON.stringify(value) : value)}`;
  };
  const write = (text: string, given: readonly unknown[]): string => {
    if (given.length === 0) return text;
    let next = 0;
    return text.replaceAll(/\\\?|\?\??/g, (mark) => {
      if (mark === String.raw`\?`) return '?';
      const value = given[next++];
      return mark === '??' ? quoteIdentifier(value as string) : place(value);
    });
  };
  const text = write(sql, params);
  if (values.length > MOST_PARAMETERS) throw new Error(`A statement has ${values.length} values`);
  return { text, values };
}

/** The count of parameters has two bytes in PostgreSQL's protocol. */
const MOST_PARAMETERS = 65_535;
