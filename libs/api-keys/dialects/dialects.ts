import type { Type } from '@nestjs/common';
import type { NamedRoute } from '#libs/contract/route.js';
import { namedRoutes } from '#libs/contract/routes.js';
import type { Dialect } from '#libs/platform/config.js';
import { AgentityController } from './agentity.controller.js';
import * as agentity from './agentity.routes.js';
import { CommandAgiController } from './commandagi.controller.js';
import * as commandagi from './commandagi.routes.js';

interface DialectParts {
  readonly controller: Type;
  readonly routes: readonly NamedRoute[];
}

/** The APIs of other systems over the same keys. Clients of these systems work here unchanged. */
export const dialects: Record<Dialect, DialectParts> = {
  commandagi: { controller: CommandAgiController, routes: namedRoutes('commandagi', commandagi) },
  agentity: { controller: AgentityController, routes: namedRoutes('agentity', agentity) },
};
