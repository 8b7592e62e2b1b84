import { once } from 'node:events';
import { request, type Agent, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';

/** The address of the clients. The gateway itself has 127.0.0.1. */
export const CLIENT = '127.0.0.2';

export interface Request {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly agent?: Agent;
  /** The address of the client. */
  readonly from?: string;
}

export interface Response {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Every name and value as it was received. */
  readonly rawHeaders: readonly (readonly [name: string, value: string])[];
  /** Whether the server asked for the body with 100 Continue. */
  readonly continued: boolean;
}

/** Sends a request as a program does, which can set any header. */
export async function call(port: number, { headers, body, from, ...rest }: Request = {}): Promise<Response> {
  const outgoing = request({
    ...rest,
    agent: rest.agent ?? false,
    host: '127.0.0.1',
    port,
    localAddress: from ?? CLIENT,
    headers: { ...headers },
  });
  let continued = false;
  outgoing.once('continue', () => {
    continued = true;
    outgoing.end(body);
  });
  if (headers?.['expect']) outgoing.flushHeaders();
  else outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  const { statusCode, headers: received, rawHeaders: raw } = response;
  const rawHeaders = raw.flatMap((name, index) => (index % 2 === 0 ? [[name, raw[index + 1]!] as const] : []));
  return { status: statusCode!, headers: received, rawHeaders, text: await text(response), continued };
}
