import { Box, Code, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { z } from 'zod';
import { LONGEST_SEARCH } from '#libs/api-key-format/search-term.js';
import type { AuditEvent, AuditFilterName } from '#libs/contract/audit.js';
import { calledIn } from '#libs/contract/events.js';
import { VerificationCode } from '#libs/contract/verification.js';
import { useOrganization } from '../organization/organizations.js';
import { Copied } from '../ui/copied.js';
import { counted } from '../ui/format.js';
import { TextLink } from '../ui/links.js';
import { denialInWords } from '../ui/outcomes.js';
import { addressParameter } from './activity.js';
import { opposite, type AuditSearch } from './audit-search.js';
import { actorWords } from './event-sentence.js';
import { fullTime, utcTime } from './event-time.js';
import type { NameOf } from './names.js';
import { readsKeys } from './reads-keys.js';

interface Props extends PartProps {
  readonly item: AuditEvent;
  readonly hash: string;
}

interface PartProps {
  readonly organizationId: string;
  readonly nameOf: NameOf;
  readonly onFilter: (patch: Partial<AuditSearch>) => void;
}

/** All that an event tells, name by name. */
export function EventFacts({ item: { leaf_index: leafIndex, event }, hash, ...part }: Props) {
  return (
    <Box component="dl" className="facts">
      <Happened event={event} {...part} />
      <Call data={event.data} {...part} />
      <Request data={event.data} {...part} />
      <Fact name="Leaf index">
        <Copied value={String(leafIndex)} label="Copy the leaf index" />
      </Fact>
      <Fact name="Leaf hash">
        <Copied value={hash} label="Copy the leaf hash" />
      </Fact>
    </Box>
  );
}

type Data = AuditEvent['event']['data'];

function textIn(data: Data, name: string): string | undefined {
  return typeof data[name] === 'string' ? data[name] : undefined;
}

interface HappenedProps extends PartProps {
  readonly event: AuditEvent['event'];
}

/** When and how often, who did what, and to whom. */
function Happened({ event, onFilter, ...place }: HappenedProps) {
  const { data } = event;
  const { organizationId } = place;
  const { actor } = data;
  const firstAt = textIn(data, 'first_at');
  const lastAt = textIn(data, 'last_at');
  const organization = calledIn(data, 'organization');
  return (
    <>
      <Fact name="When">
        <time dateTime={event.time}>{fullTime(event.time)}</time>
        <br />
        <Text span c="dimmed" size="sm">
          {utcTime(event.time)}
        </Text>
      </Fact>
      {firstAt && lastAt && (
        <Fact name="How often">
          {counted(Number(data['count']), 'time')}, from {fullTime(firstAt)} to {fullTime(lastAt)}
        </Fact>
      )}
      <Fact name="Who" filter={{ actor_id: actor.id ?? undefined }} {...{ onFilter, organizationId }}>
        {actor.id === null ? (
          actorWords(actor, place.nameOf)
        ) : (
          <Named id={actor.id} called={calledIn(data, 'actor')} {...place} />
        )}
        {actor.type === 'operator' && ' as an operator'}
      </Fact>
      <Fact name="What" filter={{ type: event.type }} onFilter={onFilter}>
        <Code>{event.type}</Code>
      </Fact>
      {event.subject !== actor.id && (
        <Fact name="About" filter={{ subject: event.subject }} {...{ onFilter, organizationId }}>
          <Named id={event.subject} called={calledIn(data, 'subject')} {...place} />
        </Fact>
      )}
      {organization.id && <Fact name="Organization">{organization.name ?? organization.id}</Fact>}
    </>
  );
}

interface DataProps extends PartProps {
  readonly data: Data;
}

/** What was called, and why it was refused. */
function Call({ data, onFilter }: DataProps) {
  const code = VerificationCode.safeParse(data['code']).data;
  const scopes = Scopes.safeParse(data['scopes']).data;
  const path = textIn(data, 'path');
  const route = textIn(data, 'route');
  const endpoint = [textIn(data, 'method'), path].filter(Boolean).join(' ');
  return (
    <>
      {code && (
        <Fact name="Reason" filter={{ outcome: code }} onFilter={onFilter}>
          {denialInWords({ code, scopes })} <Code>{code}</Code>
        </Fact>
      )}
      {endpoint && (
        <Fact name="Endpoint" filter={{ path }} onFilter={onFilter}>
          <Code>{endpoint}</Code>
        </Fact>
      )}
      {route && route !== path && (
        <Fact name="Route">
          <Code>{route}</Code>
        </Fact>
      )}
      {data['summary'] === true && (
        <Fact name="Requests">Only counted, so this event has no endpoint, address or client.</Fact>
      )}
      {callsOf(data).map((call) => (
        <Fact key={call} name="Call">
          <Code>{call}</Code>
        </Fact>
      ))}
      {lookedForIn(data).map((value) => (
        <Fact key={value} name="Looked for">
          <Code className="breakable">{value}</Code>
        </Fact>
      ))}
    </>
  );
}

/** Whose request it was, and where it came from. */
function Request({ data, onFilter, ...place }: DataProps) {
  const { organizationId } = place;
  const projectId = textIn(data, 'project_id');
  const secretId = textIn(data, 'secret_id');
  const ip = textIn(data, 'ip');
  const origin = textIn(data, 'origin');
  const userAgent = textIn(data, 'user_agent');
  const requestId = textIn(data, 'request_id');
  return (
    <>
      {verifiersOf(data).map((id) => (
        <Fact key={id} name="Verified by" filter={{ verified_by: id }} {...{ onFilter, organizationId }}>
          <Named id={id} called={{}} {...place} />
        </Fact>
      ))}
      {projectId && (
        <Fact name="Project" filter={{ project_id: projectId }} onFilter={onFilter}>
          <Named id={projectId} called={{}} {...place} />
        </Fact>
      )}
      {secretId && (
        <Fact name="Secret" filter={{ secret_id: secretId }} onFilter={onFilter}>
          <Code className="breakable">{secretId}</Code>
        </Fact>
      )}
      {ip && (
        <Fact name="Address" filter={{ ip }} {...{ onFilter, organizationId }}>
          <Code>{ip}</Code>
        </Fact>
      )}
      {origin && <Fact name="Page">{origin}</Fact>}
      {userAgent && (
        <Fact name="Client" filter={{ user_agent: userAgent.slice(0, LONGEST_SEARCH) }} onFilter={onFilter}>
          {userAgent}
        </Fact>
      )}
      {requestId && (
        <Fact name="Request" filter={{ request_id: requestId }} onFilter={onFilter}>
          <Copied value={requestId} label="Copy the request's id" />
        </Fact>
      )}
    </>
  );
}

/** The keys that asked for the verifications: one in a single event, several in a summary. */
function verifiersOf(data: Record<string, unknown>): string[] {
  const { verified_by: verifier, callers } = data;
  const all: unknown[] = Array.isArray(callers) ? callers : [verifier];
  const ids = all.map((one) => (typeof one === 'object' && one !== null && 'id' in one ? one.id : undefined));
  return [...new Set(ids.filter((id) => typeof id === 'string'))];
}

/** The calls in an `operator.read` event that covers several. */
function callsOf({ reads }: Record<string, unknown>): string[] {
  const all = Calls.safeParse(reads).data ?? [];
  return [...new Set(all.map(({ method, path }) => [method, path].filter(Boolean).join(' ')))];
}

/** What an operator looked for in all audit logs. */
function lookedForIn({ filter, reads }: Record<string, unknown>): string[] {
  const filters = [filter, ...(Searches.safeParse(reads).data ?? []).map((read) => read.filter)];
  const values = filters.flatMap((one) => Object.entries(Values.safeParse(one).data ?? {}));
  return [...new Set(values.map(([name, value]) => `${name}=${value ?? ''}`))];
}

const Scopes = z.array(z.string());
const Values = z.record(z.string(), z.string().nullable());
const Searches = z.array(z.object({ filter: z.unknown() }));
const Calls = z.array(z.object({ method: z.string().nullable(), path: z.string().nullable() }));

interface FactProps {
  readonly name: string;
  readonly children: ReactNode;
  /** The filter that finds the events with the same value. Its value may be undefined: then there is none. */
  readonly filter?: Partial<Record<AuditFilterName, string | undefined>>;
  readonly onFilter?: PartProps['onFilter'];
  /** For a link to all activity of the value. */
  readonly organizationId?: string;
}

function Fact({ name, children, filter = {}, onFilter, organizationId }: FactProps) {
  const [[parameter, value] = []] = Object.entries(filter) as [AuditFilterName, string | undefined][];
  return (
    <>
      <dt>{name}</dt>
      <dd>
        <span>{children}</span>
        {onFilter && parameter && value !== undefined && (
          <span className="fact-filters">
            {organizationId && <ActivityLink {...{ organizationId, parameter, value }} of={name} />}
            <FactFilter label="Filter by this" of={name} onClick={() => onFilter({ [parameter]: value })} />
            <FactFilter label="Leave out" of={name} onClick={() => onFilter({ [opposite(parameter)]: value })} />
          </span>
        )}
      </dd>
    </>
  );
}

/** Leads to everything that this person or key did, that happened to this object, or that came from this address. */
function ActivityLink({ organizationId, parameter, value, of }: ActivityLinkProps) {
  const label = `All activity: ${of}`;
  const place = { className: 'fact-filter', 'aria-label': label };
  switch (parameter) {
    case 'actor_id':
    case 'verified_by':
      return (
        <Link to="/org/$organizationId/audit/by/$id" params={{ organizationId, id: value }} {...place}>
          All activity
        </Link>
      );
    case 'subject':
      return (
        <Link to="/org/$organizationId/audit/about/$id" params={{ organizationId, id: value }} {...place}>
          All activity
        </Link>
      );
    case 'ip':
      return (
        <Link
          to="/org/$organizationId/audit/from/$address"
          params={{ organizationId, address: addressParameter(value) }}
          {...place}
        >
          All activity
        </Link>
      );
    default:
      return null;
  }
}

interface ActivityLinkProps {
  readonly organizationId: string;
  readonly parameter: AuditFilterName;
  readonly value: string;
  readonly of: string;
}

interface FactFilterProps {
  readonly label: string;
  readonly of: string;
  readonly onClick: () => void;
}

function FactFilter({ label, of, onClick }: FactFilterProps) {
  return (
    <button type="button" className="fact-filter" onClick={onClick} aria-label={`${label}: ${of}`}>
      {label}
    </button>
  );
}

interface NamedProps {
  readonly id: string;
  /** The name and email address in the event. */
  readonly called: { readonly name?: string | undefined; readonly email?: string | undefined };
  readonly organizationId: string;
  readonly nameOf: NameOf;
}

/** A name with a link to its page. */
function Named({ id, called, organizationId, nameOf }: NamedProps) {
  const name = called.name ?? called.email ?? nameOf(id);
  const { organization } = useOrganization(organizationId);
  if (id.startsWith('key_')) {
    if (!organization || !readsKeys(organization)) return name;
    return (
      <TextLink to="/org/$organizationId/settings/api-keys/$keyId" params={{ organizationId, keyId: id }}>
        {name}
      </TextLink>
    );
  }
  if (id.startsWith('proj_')) {
    return (
      <TextLink to="/org/$organizationId/projects/$projectId/api-keys" params={{ organizationId, projectId: id }}>
        {name}
      </TextLink>
    );
  }
  if (id.startsWith('user_')) {
    return (
      <>
        <TextLink to="/org/$organizationId/audit/by/$id" params={{ organizationId, id }}>
          {name}
        </TextLink>
        {called.name && called.email && ` (${called.email})`}
      </>
    );
  }
  return name;
}
