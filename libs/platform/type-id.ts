import { p, Type } from '@mikro-orm/core';
import { fromUuid, toUuid, type IdType } from '#libs/contract/ids.js';

/** Stores a TypeID as its UUID, and returns it with its prefix. */
class TypeIdType extends Type<string | null, string | null> {
  constructor(private readonly type: IdType) {
    super();
  }

  override convertToDatabaseValue(value: string | null): string | null {
    return value === null ? null : toUuid(value);
  }

  override convertToJSValue(value: string | null): string | null {
    return value === null ? null : fromUuid(this.type, value);
  }

  override getColumnType(): string {
    return 'uuid';
  }
}

/** An entity property that holds an id of one type. */
export function typeId(type: IdType) {
  return p.type(new TypeIdType(type)).$type<string>();
}

/** The UUIDs of ids, as an array of PostgreSQL. */
export function uuids(ids: readonly string[]): string {
  return `{${ids.map(toUuid).join(',')}}`;
}
