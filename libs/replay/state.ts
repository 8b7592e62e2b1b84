/**
 * What an audit log says of its organization: objects of several kinds, by their ids, with fields named after the
 * columns. A field is absent if the log does not say it. All values are JSON, so that a state can be recorded in the log.
 */
export const KINDS = [
  'organization',
  'account',
  'operator',
  'member',
  'invitation',
  'project',
  'api_key',
  'secret',
  'balance',
  'ended_balance',
  'grant',
  'usage',
  'usage_day',
  'secret_usage',
  'verifications',
  'quarantined',
] as const;
export type Kind = (typeof KINDS)[number];

export type Fields = Record<string, unknown>;

/** Grows with the objects of one organization, and by the days on which each of its keys was used. */
export class State {
  readonly #kinds = new Map<Kind, Map<string, Fields>>();

  /** The objects of a kind by their ids, in the order in which the log named them. */
  of(kind: Kind): ReadonlyMap<string, Fields> {
    return this.#of(kind);
  }

  get(kind: Kind, id: string): Fields | undefined {
    return this.#kinds.get(kind)?.get(id);
  }

  put(kind: Kind, id: string, fields: Fields): void {
    this.#of(kind).set(id, fields);
  }

  /** If the log has not named the object before, its other fields stay unknown. */
  change(kind: Kind, id: string, fields: Fields): void {
    const known = this.get(kind, id);
    if (known) Object.assign(known, fields);
    else this.put(kind, id, fields);
  }

  remove(kind: Kind, id: string): void {
    this.#of(kind).delete(id);
  }

  #of(kind: Kind): Map<string, Fields> {
    let objects = this.#kinds.get(kind);
    if (!objects) this.#kinds.set(kind, (objects = new Map()));
    return objects;
  }
}
