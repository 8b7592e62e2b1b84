import type { Replacements } from '../document.js';

/** All that differs between the document's commands as they are printed and as they are run. */
export interface Real {
  readonly host: string;
  readonly accessToken?: string;
  readonly id?: number;
}

export function replacements(real: Real): Replacements {
  return [
    ['https://api.agentity.to', real.host],
    ['<accessToken>', real.accessToken],
    ['/42', real.id === undefined ? undefined : `/${real.id}`],
  ];
}
