import type { Replacements } from '../document.js';

/**
 * All differences between the printed examples and those that run: the host, ids and credentials. Everything else runs
 * word for word.
 */
export interface Real {
  readonly host: string;
  readonly accessToken?: string;
  readonly organizationId?: string;
  readonly keyId?: string;
}

export function replacements(real: Real): Replacements {
  return [
    ['https://api.agentauri.ai', real.host],
    ['YOUR_JWT_TOKEN', real.accessToken],
    ['org_123', real.organizationId],
    ['key_abc123', real.keyId],
  ];
}

/** The Node and Python examples read their key from this variable, as the document says. */
export const KEY_VARIABLE = 'AGENTAURI_API_KEY';

/**
 * The Node example calls `require`, which only CommonJS has, and uses `await` at the top level, which only modules may.
 * No Node version runs it as it is. So the example runs unchanged as a module in which `require` is defined.
 */
const REQUIRE = `import { createRequire } from 'node:module'; globalThis.require = createRequire(process.cwd() + '/');`;
export const NODE_ARGUMENTS = [
  '--input-type=module',
  '--import',
  `data:text/javascript,${encodeURIComponent(REQUIRE)}`,
];
