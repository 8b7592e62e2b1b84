import type { NamedRoute } from '#libs/contract/route.js';
import { allRoutes } from '#libs/contract/routes.js';
import { builtModule } from './built-module.js';

const { dialects } = await builtModule<typeof import('#libs/api-keys/dialects/dialects.js')>(
  '#libs/api-keys/dialects/dialects.js',
);

/** The routes of all dialects. */
export const dialectRoutes: readonly NamedRoute[] = Object.values(dialects).flatMap(({ routes }) => routes);

/** Every route that the API can serve. */
export const routeTable: readonly NamedRoute[] = [...allRoutes(), ...dialectRoutes];
