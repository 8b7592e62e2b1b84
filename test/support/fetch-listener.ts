import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';

/** Serves a handler of web-standard requests without bodies by Node's HTTP server. */
export function fetchListener(handler: (request: Request) => Response | Promise<Response>): RequestListener {
  const respond = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const headers = Object.entries(incoming.headers).map(([name, value]) => [name, String(value)] as [string, string]);
    const request = new Request(`http://${incoming.headers.host}${incoming.url}`, { method: incoming.method, headers });
    const response = await handler(request);
    outgoing.writeHead(response.status, Object.fromEntries(response.headers)).end(await response.text());
  };
  return (incoming, outgoing) => void respond(incoming, outgoing);
}
