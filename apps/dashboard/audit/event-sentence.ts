import { calledIn, DomainEvent, type EventActor, type EventEnvelope } from '#libs/contract/events.js';
import { DEPLOYMENT_ID, type Role } from '#libs/contract/organizations.js';
import { counted, inDigits, listed, lowerFirst } from '../ui/format.js';
import { denialInWords } from '../ui/outcomes.js';

/** A part of a sentence: words, a reference with an id and perhaps a name, the actor, or a text that a user wrote. */
export type Part =
  | string
  | { readonly id: string; readonly name: string | undefined }
  | { readonly actor: EventEnvelope['data']['actor'] }
  | { readonly quoted: string };

/** What happened, as a sentence. For a type that this version does not know, its name. */
export function sentenceOf(event: EventEnvelope): readonly Part[] {
  const known = DomainEvent.safeParse(event);
  return known.success ? sentenceFor(known.data) : somethingHappened(event);
}

function somethingHappened({ type, subject, data }: EventEnvelope): readonly Part[] {
  const it = { id: subject, name: nameIn(data, 'subject') };
  return say`${{ actor: data.actor }}: ${type.replaceAll(/[._]/g, ' ')} (${it})`;
}

// oxlint-disable-next-line max-lines-per-function -- one case for each type of event, and the compiler finds a missing one
function sentenceFor(event: DomainEvent): readonly Part[] {
  const { data } = event;
  const by = { actor: data.actor };
  const it = { id: event.subject, name: nameIn(data, 'subject') };
  const organization = organizationIn(event);
  switch (event.type) {
    case 'user.registered':
      return event.data.email
        ? say`${it} created an account with ${{ quoted: event.data.email }}`
        : say`${it} created an account`;
    case 'user.login_succeeded':
      return say`${it} signed in`;
    case 'user.login_failed':
      return event.subject === DEPLOYMENT_ID
        ? say`An unknown caller tried${times(event.data.count ?? 1)} to sign in to ${accounts(event.data.count)}`
        : say`An unknown caller tried to sign in as ${it} with a wrong password`;
    case 'user.logged_out':
      return say`${it} signed out`;
    case 'user.session_ended':
      return event.data.because === 'too_many'
        ? say`The oldest session of ${it} ended because they had too many sessions`
        : say`${by} ended a session of ${it}`;
    case 'user.updated':
      return say`${it} changed ${fields(event.data.changes)} of their account`;
    case 'user.password_changed':
      return say`${it} changed their password${sessions(event.data)}`;
    case 'user.refresh_token_reused':
      return say`A refresh token of ${it} was used a second time, so its session was ended`;
    case 'user.password_reset_requested':
      return say`${by} created a password reset link for ${it}`;
    case 'user.password_reset':
      return say`${it} set a new password with a reset link${sessions(event.data)}`;
    case 'user.operator_added':
      return say`${it} became an operator of the deployment`;
    case 'user.operator_removed':
      return say`${by} removed ${it} as operator`;
    case 'organization.created':
      return event.data.name
        ? say`${by} created the organization ${{ quoted: event.data.name }}`
        : say`${by} created the organization`;
    case 'organization.updated':
      return say`${by} changed ${fields(event.data.changes)} of ${organization}`;
    case 'organization.key_policy_changed':
      return say`${by} changed the key policy of ${organization}: ${fields(event.data.changes)}`;
    case 'organization.suspended':
      return say`${by} suspended ${organization}${because(event.data.reason)}`;
    case 'organization.resumed':
      return say`${by} resumed ${organization}`;
    case 'invitation.created':
      return say`${by} invited ${event.data.email ? { quoted: event.data.email } : 'a user'} as ${roleWords(event.data.role)}`;
    case 'invitation.revoked':
      return data.subject?.email
        ? say`${by} withdrew the invitation of ${{ quoted: data.subject.email }}`
        : say`${by} withdrew an invitation`;
    case 'member.added':
      return say`${it} joined as ${roleWords(event.data.role)}`;
    case 'member.role_changed':
      return say`${by} made ${it} ${roleWords(event.data.after)} (was ${event.data.before})`;
    case 'member.removed':
      return event.data.actor.id === event.subject
        ? say`${it} left the organization${revoked(event.data.revoked_api_keys)}`
        : say`${by} removed ${it}${revoked(event.data.revoked_api_keys)}`;
    case 'project.created':
      return say`${by} created the project ${{ quoted: event.data.name }}`;
    case 'project.updated':
      return say`${by} changed ${fields(event.data.changes)} of the project ${it}`;
    case 'project.deleted':
      return say`${by} deleted the project ${it}${revoked(event.data.revoked_api_keys)}`;
    case 'credits.granted':
      return say`${by} added ${counted(event.data.amount, 'credit')}${within(event, 'to')}${because(event.data.reason)}`;
    case 'credits.removed':
      return say`${by} removed the balance of ${counted(event.data.balance, 'credit')}${within(event, 'of')}`;
    case 'credits.low':
      return say`The balance fell to ${counted(event.data.balance, 'credit')}, below ${inDigits(event.data.low_below)}`;
    case 'operator.read':
      return event.data.path
        ? say`${by} read ${{ quoted: event.data.path }}${andOthers(event.data.reads)}${within(event, 'of')}`
        : say`${by} read ${organization}`;
    case 'audit_log.epoch_started':
      return say`Epoch ${inDigits(event.data.epoch)} of the checkpoints of this audit log began`;
    case 'audit_log.retention_changed':
      return say`${by} changed the retention of the audit log${within(event, 'of')}: ${retention(event.data)}`;
    case 'audit_log.hold_placed':
      return say`${by} placed the audit log${within(event, 'of')} under legal hold${because(event.data.reason)}`;
    case 'audit_log.hold_lifted':
      return say`${by} lifted the legal hold of the audit log${within(event, 'of')}${because(event.data.reason)}`;
    case 'audit_log.pruned':
      return say`${counted(event.data.below - event.data.from, 'event')} below ${inDigits(event.data.below)} were pruned after their retention`;
    case 'audit_log.state_recorded':
      return say`The state of ${organization} before entry ${inDigits(event.data.below)} was recorded, part ${inDigits(event.data.part)} of ${inDigits(event.data.parts)}`;
    case 'audit_log.key_rotated':
      return event.data.note === undefined
        ? say`The key of the checkpoints of this audit log was replaced because it was compromised`
        : say`The key of the checkpoints of this audit log was replaced`;
    case 'event.quarantined':
      return say`${unreadable(event.data.count)} in the quarantine as ${inDigits(event.data.quarantine_id)}`;
    case 'event.requeued':
      return say`Record ${inDigits(event.data.quarantine_id)} of the quarantine was put back into the outbox`;
    case 'api_key.created':
      return say`${by} created the ${event.data.environment} key ${{ quoted: event.data.name }}`;
    case 'api_key.imported':
      return say`${by} imported the ${event.data.environment} key ${{ quoted: event.data.name }}`;
    case 'api_key.used':
      return event.data.surface === 'management'
        ? say`${it} called Keyledger${endpoint(event.data)}`
        : say`${it} was used${endpoint(event.data)}`;
    case 'api_key.denied':
      return say`${it} was denied${surface(event.data)}${times(event.data.count)}${requests(event.data)}: ${lowerFirst(denialInWords(event.data))}`;
    case 'api_key.rotated':
      return say`${by} rotated the key ${it}${event.data.previous_secret_ends_at ? ', with a grace period' : ''}`;
    case 'api_key.updated':
      return say`${by} changed ${fields(event.data.changes)} of the key ${it}`;
    case 'api_key.enabled':
      return say`${by} enabled the key ${it}`;
    case 'api_key.disabled':
      return event.data.because === 'unused'
        ? say`The key ${it} was disabled because it was unused for ${counted(event.data.unused_for_days ?? 0, 'day')}`
        : say`${by} disabled the key ${it}`;
    case 'api_key.expiring':
      return say`${it} expires in ${counted(event.data.days_left, 'day')}`;
    case 'api_key.expired':
      return say`${it} expired`;
    case 'api_key.leaked':
      return say`A secret of the key ${it} was found in a public place${foundAt(event.data.url)}`;
    case 'api_key.revoked':
      return [...revocation(event.data, by, it), ...within(event, 'of')];
    default:
      return event satisfies never;
  }
}

function say(words: TemplateStringsArray, ...parts: readonly (Part | readonly Part[])[]): readonly Part[] {
  return words.flatMap((word, at) => [word, ...[parts[at] ?? ''].flat()]).filter((part) => part !== '');
}

function nameIn(data: EventEnvelope['data'], which: 'actor' | 'subject' | 'organization'): string | undefined {
  const { name, email } = calledIn(data, which);
  return name ?? email;
}

/** The organization's name in the audit log of the deployment, and "the organization" in its own audit log. */
function organizationIn({ data }: DomainEvent): readonly Part[] {
  const { organization } = data;
  return organization ? ['the organization ', { id: organization.id, name: organization.name }] : ['the organization'];
}

/** For calls that one page sent together. */
function andOthers(reads: readonly unknown[] | undefined): string {
  return reads ? ` and ${inDigits(reads.length - 1)} more` : '';
}

/** In the audit log of the deployment: the organization that the subject belongs to. */
function within({ data }: DomainEvent, how: 'of' | 'to'): readonly Part[] {
  const { organization } = data;
  return organization ? [` ${how} `, { id: organization.id, name: organization.name }] : [];
}

function accounts(attempts = 1): string {
  return attempts === 1 ? 'an account that does not exist' : 'accounts that do not exist';
}

function times(count: number): string {
  return count === 1 ? '' : ` ${inDigits(count)} times`;
}

/** A damaged record may not tell how many events it has. */
function unreadable(events: number | null): string {
  if (events === null) return 'A record with an unknown number of events could not be read and waits';
  return `${counted(events, 'event')} could not be read and ${events === 1 ? 'waits' : 'wait'}`;
}

function sessions({ ended_session_ids, ended_sessions = ended_session_ids.length }: Ended): string {
  return ended_sessions === 0 ? '' : `, which ended ${counted(ended_sessions, 'session')}`;
}

interface Ended {
  readonly ended_session_ids: readonly string[];
  readonly ended_sessions?: number | undefined;
}

function revoked(keys: number): string {
  return keys === 0 ? '' : ` and revoked ${counted(keys, 'key')}`;
}

function because(reason: string | null | undefined): string {
  return reason ? `: ${reason}` : '';
}

function retention({ before, after }: { readonly before: number | null; readonly after: number | null }): string {
  const days = (count: number | null) => (count === null ? 'the default' : counted(count, 'day'));
  return `${days(after)} instead of ${days(before)}`;
}

function roleWords(role: Role | null): string {
  if (role === null) return 'an operator';
  return /^[aeiou]/.test(role) ? `an ${role}` : `a ${role}`;
}

/** For example `the name, the scopes and the allowed ips`. */
function fields(changes: Record<string, unknown>): string {
  const names = Object.keys(changes).map((name) => `the ${name.replaceAll('_', ' ')}`);
  return listed(names) || 'nothing';
}

function endpoint({ method, path }: { readonly method: string | null; readonly path: string | null }): string {
  return method || path ? ` for ${[method, path].filter(Boolean).join(' ')}` : '';
}

type Denied = Extract<DomainEvent, { type: 'api_key.denied' }>['data'];

/** A summary does not say whether its requests were equal. */
function requests(data: Denied): string {
  if (!data.summary) return endpoint(data);
  return data.count === 1 ? ' for another request' : ' for other requests';
}

function surface({ surface }: Denied): string {
  return surface === 'management' ? ' by Keyledger’s own API' : '';
}

function foundAt(url: string | null): readonly Part[] {
  return url === null ? [] : ['. Reported: ', { quoted: url }];
}

function revocation(
  { deleted, because }: { readonly deleted: boolean; readonly because?: string | undefined },
  by: Part,
  it: Part,
): readonly Part[] {
  if (because === 'member_removed') return say`The key ${it} was revoked because its member was removed`;
  if (because === 'leaked') return say`The key ${it} was revoked because a secret of it was found in a public place`;
  if (because === 'project_deleted') return say`The key ${it} was revoked because its project was deleted`;
  return deleted ? say`${by} deleted the key ${it}` : say`${by} revoked the key ${it}`;
}

/** The actor, by the name in the event, else by its id. */
export function actorWords(actor: EventEnvelope['data']['actor'], nameOf: (id: string) => string): string {
  const known = actor.type as EventActor['type'];
  const name = nameOfActor(actor, nameOf);
  switch (known) {
    case 'user':
      return name ?? 'A user';
    case 'operator':
      return name === undefined ? 'An operator' : `${name} (operator)`;
    case 'api_key':
      return name ?? 'A key';
    case 'anonymous':
      return 'An unknown caller';
    case 'system':
      return 'Keyledger';
    default:
      known satisfies never;
      return actor.type;
  }
}

function nameOfActor(actor: EventEnvelope['data']['actor'], nameOf: (id: string) => string): string | undefined {
  const { name = actor['email'], id } = actor;
  if (typeof name === 'string') return name;
  return id === null ? undefined : nameOf(id);
}

export function wordsOf(part: Part, nameOf: (id: string) => string): string {
  if (typeof part === 'string') return part;
  if ('id' in part) return part.name ?? nameOf(part.id);
  return 'quoted' in part ? part.quoted : actorWords(part.actor, nameOf);
}
