import { Injectable } from '@nestjs/common';
import { newEventId } from '#libs/contract/ids.js';
import type { DomainEventOf, DomainEventType, EventActor, EventSubject } from '#libs/contract/events.js';
import { Clock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { PersonalData } from '#libs/platform/personal-data.js';
import { withoutSecrets } from '#libs/platform/redact.js';

/** Uses travel as records (`libs/contract/use-records.ts`), and the worker encodes them. */
export type EncodedType = Exclude<DomainEventType, 'api_key.used'>;

type OwnData<T extends EncodedType> = Omit<
  DomainEventOf<T>['data'],
  'organization_id' | 'actor' | 'subject' | 'organization' | 'ip' | 'user_agent' | 'request_id' | 'seq'
>;

export interface NewEvent<T extends EncodedType> {
  readonly type: T;
  /** The object of the event: its id, and its name if the event should contain it. */
  readonly subject: string | EventSubject;
  readonly organizationId: string;
  /** Only in the audit log of the deployment: the organization that the event concerns. */
  readonly organization?: { readonly id: string; readonly name?: string } | undefined;
  readonly actor: EventActor;
  /** The sequence number of the authorization state under which it was decided. */
  readonly seq: number;
  readonly data: OwnData<T>;
  /** When it happened. Default: now. */
  readonly at?: Date;
  readonly origin: EventOrigin;
}

/** The request that caused an event. All null if no request did. */
export interface EventOrigin {
  readonly ip: string | null;
  readonly userAgent: string | null;
  readonly requestId: string | null;
  /** The origin was stored in the meantime. Personal data that must not be recorded was left out then. */
  readonly isStored?: true;
}

/** Encodes events as entries of the audit log. An entry is encoded once and never changed afterwards. */
@Injectable()
export class Events {
  readonly #source: string;

  constructor(
    private readonly clock: Clock,
    private readonly personalData: PersonalData,
    config: Config,
  ) {
    this.#source = JSON.stringify(config.publicUrl);
  }

  /** The text of an entry. Its UTF-8 bytes are all that is stored of an event. */
  encode<T extends EncodedType>(event: NewEvent<T>): string {
    const { origin } = event;
    const at = event.at ?? this.clock.now();
    const { id: subject, ...named } = typeof event.subject === 'string' ? { id: event.subject } : event.subject;
    // Undefined fields are left out of the JSON.
    const data = {
      organization_id: event.organizationId,
      actor: event.actor,
      subject: typeof event.subject === 'string' ? undefined : named,
      organization: event.organization,
      ...(origin.isStored ? { ip: origin.ip, user_agent: origin.userAgent } : this.personalData.origin(origin)),
      request_id: origin.requestId,
      seq: event.seq,
      ...event.data,
    };
    const recordedData = this.personalData.recordsNames ? data : withoutNames(event.type, data);
    // A secret that a member typed into a name or a metadata field does not get into the audit log.
    const text = withoutSecrets(JSON.stringify(recordedData));
    return (
      `{"specversion":"1.0","id":"${newEventId(at)}","source":${this.#source},"type":"${event.type}",` +
      `"time":"${at.toISOString()}","subject":${JSON.stringify(subject)},` +
      `"datacontenttype":"application/json","data":${text}}`
    );
  }
}

/** Updates whose changed name may be that of a person. */
const NAME_PEOPLE: ReadonlySet<DomainEventType> = new Set(['organization.updated', 'user.updated']);

/** Removes names of people: of actor and subject, and of the organization, which may be named after its only member. */
function withoutNames(type: DomainEventType, data: EventData): object {
  const { actor, organization, changes } = data;
  // Undefined fields are left out of the JSON.
  return {
    ...data,
    actor: { type: actor.type, id: actor.id },
    subject: undefined,
    email: undefined,
    accountable_user: undefined,
    organization: organization && { id: organization.id },
    ...(type === 'organization.created' && { name: undefined }),
    ...(NAME_PEOPLE.has(type) && changes?.['name'] && { changes: { ...changes, name: {} } }),
  };
}

interface EventData {
  readonly actor: EventActor;
  readonly organization?: { readonly id: string } | undefined;
  readonly changes?: Record<string, object>;
}
