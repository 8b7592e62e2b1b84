import type { Replacements } from '../document.js';

/** All that differs between the document's commands as they are printed and as they are run. */
export interface Real {
  readonly host: string;
  readonly key?: string;
  readonly projectId?: string;
  readonly keyId?: string;
}

export function replacements(real: Real): Replacements {
  return [
    ['https://api.commandAGI.com', real.host],
    ['YOUR_EXISTING_KEY', real.key],
    ['YOUR_API_KEY', real.key],
    ['proj_abc123', real.projectId],
    ['key_xyz789', real.keyId],
  ];
}
