import type { Replacements } from '../document.js';

/** All differences between the printed commands of the document and those that run. */
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
