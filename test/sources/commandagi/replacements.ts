import type { Replacements } from '../document.js';

/** All differences between the printed commands of the document and those that run. */
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
