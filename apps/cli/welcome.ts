import type { OperatorLink } from './operator-link.js';

interface Welcome {
  readonly url: string;
  readonly seconds: number;
  readonly dataDirectory: string;
  readonly database: string;
  readonly logs: string;
  /** Present while there is no operator. */
  readonly setUp: OperatorLink | undefined;
}

/** The message after a successful start: where everything is, and the first steps to copy. */
export function welcome({ url, seconds, dataDirectory, database, logs, setUp }: Welcome): string {
  return `
Keyledger is ready at ${url} (${seconds.toFixed(1)} s)

  dashboard   ${url}/
  API guide   ${url}/docs
  data        ${dataDirectory}
  database    ${database}
  logs        ${logs}
  stop        Ctrl-C
${setUp ? operatorLines(setUp) : ''}
To try it, run in another terminal. This creates an account and a key, sends a request, and reads the audit log.

  curl -s -w '\\n' ${url}/api/v1/auth/register -H 'Content-Type: application/json' \\
    -d '{"email":"you@company.example","password":"choose-a-better-one-7","name":"You"}'
  TOKEN=$(curl -s ${url}/api/v1/auth/login -H 'Content-Type: application/json' \\
    -d '{"email":"you@company.example","password":"choose-a-better-one-7"}' | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
  KEY=$(curl -s ${url}/api/v1/api-keys -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
    -d '{"name":"My first key","scopes":["triggers:read"]}' | sed 's/.*"key":"\\([^"]*\\)".*/\\1/')
  curl -s -w '\\n' ${url}/api/v1/whoami -H "X-API-Key: $KEY"
  curl -s -w '\\n' ${url}/api/v1/audit/events -H "Authorization: Bearer $TOKEN"
`;
}

function operatorLines({ url }: OperatorLink): string {
  return `
There is no operator yet. Open this one-time link in a browser within a day to become an operator:

  ${url}
`;
}
