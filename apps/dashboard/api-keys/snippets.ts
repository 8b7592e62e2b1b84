/** The two halves of a key. */
export interface KeyPair {
  readonly publicKey: string;
  readonly secretKey: string;
}

/** Not KEYLEDGER_API_KEY, with which the command line signs in: this key is for a program that calls the vendor's API. */
const VARIABLE = 'API_KEY';

/** A line for an environment file that is not under version control. */
export function envLine({ publicKey, secretKey }: KeyPair): string {
  return `${VARIABLE}=${publicKey}:${secretKey}`;
}

/** The snippets read the variable, so that the secret is in no program and in no shell history. */
export const snippets = {
  curl: (origin: string) => `# Once in this shell:  set -a; . ./.env
curl ${origin}/api/v1/whoami \\
  -H "Authorization: Bearer $${VARIABLE}"`,

  'Node.js': (origin: string) => `// node --env-file=.env whoami.mjs
const response = await fetch('${origin}/api/v1/whoami', {
  headers: { Authorization: \`Bearer \${process.env.${VARIABLE}}\` },
});
console.log(response.status, await response.json());`,

  Python: (origin: string) => `# set -a; . ./.env; python3 whoami.py
import json, os, urllib.request

request = urllib.request.Request(
    "${origin}/api/v1/whoami",
    headers={"X-API-Key": os.environ["${VARIABLE}"]},
)
with urllib.request.urlopen(request) as response:
    print(response.status, json.load(response))`,
} as const;
