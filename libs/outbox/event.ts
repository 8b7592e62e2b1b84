import { Injectable } from '@nestjs/common';
import { newEventId } from '#libs/contract/ids.js';
import type { DomainEventOf, DomainEventType, EventActor, EventSubject } from '#libs/contract/events.js';
import { Clock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { PersonalData } from '#libs/platform/personal-data.js';
import { withoutSecrets } from '#libs/platform/redact.js';
import { requestContext } from '#libs/platform/request-context.js';

type OwnData<T extends DomainEventType> = Omit<
  DomainEventOf<T>['data'],
  'organization_id' | 'actor' | 'subject' | 'organization' | 'ip' | 'user_agent' | 'request_id' | 'seq'
>;

export interface NewEvent<T extends DomainEventType> {
  readonly type: T;
  /** What it happened to: its id, with what it is called where the event is to tell. */
  readonly subject: string | EventSubject;
  readonly organizationId: string;
  /** In the log of the deployment: the organization that it is about. */
  readonly organization?: { readonly id: string; readonly name?: string } | undefined;
  readonly actor: EventActor;
  /** The authorization state it was decided under. */
  readonly seq: number;
  readonly data: OwnData<T>;
  /** When it happened, if not now. */
  readonly at?: Date;
  /** Where it came from, when that is not the request being served. */
  readonly origin?: {
    readonly ip: string | null;
    readonly userAgent: string | null;
    readonly requestId?: string | null;
    /** It was stored since, and what is not to be recorded was left out then. */
    readonly isStored?: true;
  };
}

/** Makes the entries of the log. They are made here, once, and kept as they are for good. */
@Injectable()
export class Events {
  readonly #source: string;
  /** The last instant as text: many events fall into one millisecond. */
  #lastAt = 0;
  #lastTime = '';

  constructor(
    private readonly clock: Clock,
    private readonly personalData: PersonalData,
    config: Config,
  ) {
    this.#source = JSON.stringify(config.publicUrl);
  }

  /** The text of an entry of the log; its bytes are those of the text in UTF-8. Nothing is stored of an event but this. */
  encode<T extends DomainEventType>(event: NewEvent<T>): string {
    const from = event.origin ?? requestContext();
    const at = event.at ?? this.clock.now();
    const { id: subject, ...named } = typeof event.subject === 'string' ? { id: event.subject } : event.subject;
    // What is undefined is left out.
    const data = {
      organization_id: event.organizationId,
      actor: event.actor,
      subject: typeof event.subject === 'string' ? undefined : named,
      organization: event.organization,
      ...(event.origin?.isStored
        ? { ip: event.origin.ip, user_agent: event.origin.userAgent }
        : this.personalData.origin(from)),
      request_id: from.requestId === undefined ? requestContext().requestId : from.requestId,
      seq: event.seq,
      ...event.data,
    };
    const told = this.personalData.recordsNames ? data : withoutNames(event.type, data);
    // By hand around the data: as one object it takes a third longer, for each verification there is.
    return (
      `{"specversion":"1.0","id":"${newEventId(at)}","source":${this.#source},"type":"${event.type}",` +
      `"time":"${this.#timeOf(at)}","subject":${JSON.stringify(subject)},` +
      `"datacontenttype":"application/json","data":${textOf(event.type, told)}}`
    );
  }

  #timeOf(at: Date): string {
    if (at.getTime() !== this.#lastAt) {
      this.#lastAt = at.getTime();
      this.#lastTime = at.toISOString();
    }
    return this.#lastTime;
  }
}

/**
 * A secret that a member typed into a name or a metadata field does not get into the log. What a use tells comes from its
 * request, where that has been done already, and there are many uses.
 */
function textOf(type: DomainEventType, data: object): string {
  const text = JSON.stringify(data);
  return type === 'api_key.used' ? text : withoutSecrets(text);
}

/** What names people: who did it, whom it was done to, and an organization, which may be named after its one member. */
function withoutNames(type: DomainEventType, data: EventData): object {
  const { actor, organization, changes } = data;
  // What is undefined is left out.
  return {
    ...data,
    actor: { type: actor.type, id: actor.id },
    subject: undefined,
    email: undefined,
    accountable_user: undefined,
    organization: organization && { id: organization.id },
    ...(type === 'organization.created' && { name: undefined }),
    ...(type === 'organization.updated' && changes?.['name'] && { changes: { ...changes, name: {} } }),
  };
}

interface EventData {
  readonly actor: EventActor;
  readonly organization?: { readonly id: string } | undefined;
  readonly changes?: Record<string, object>;
}
