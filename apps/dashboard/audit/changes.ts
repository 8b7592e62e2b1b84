import { DomainEvent, type EventEnvelope } from '#libs/contract/events.js';

/** One field that an event changed, as text. For a list, `before` has the removed items and `after` the added ones. */
export interface Change {
  readonly field: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

export function changesOf(event: EventEnvelope): readonly Change[] {
  const known = DomainEvent.safeParse(event).data;
  switch (known?.type) {
    case 'organization.updated':
    case 'user.updated':
    case 'organization.key_policy_changed':
    case 'project.updated':
    case 'api_key.updated':
      return Object.entries(known.data.changes).map(([name, { before, after }]) => change(name, before, after));
    case 'member.role_changed':
      return [change('role', known.data.before, known.data.after)];
    default:
      return [];
  }
}

function change(name: string, before: unknown, after: unknown): Change {
  const field = name.replaceAll('_', ' ');
  if (!Array.isArray(before) || !Array.isArray(after)) return { field, before: asText(before), after: asText(after) };
  const [old, now] = [before.map(asText), after.map(asText)];
  const added = now.filter((item) => !old.includes(item));
  const removed = old.filter((item) => !now.includes(item));
  return { field, before: asLines(removed), after: asLines(added) };
}

function asLines(items: readonly string[]): string | undefined {
  return items.length === 0 ? undefined : items.join('\n');
}

function asText(value: unknown): string {
  if (value === null || value === undefined) return 'none';
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}
