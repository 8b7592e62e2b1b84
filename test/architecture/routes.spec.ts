import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { PATH_METADATA } from '@nestjs/common/constants.js';
import { builtModule } from '../support/built-module.js';
import { startDeployment, type Deployment } from '../support/deployment.js';

const { ModulesContainer, Reflector } = await builtModule<typeof import('@nestjs/core')>('@nestjs/core');
const { ROUTE } = await builtModule<typeof import('#libs/platform/http/implements.js')>(
  '#libs/platform/http/implements.js',
);
const { allRoutes } = await builtModule<typeof import('#libs/contract/routes.js')>('#libs/contract/routes.js');
const { dialects } = await builtModule<typeof import('#libs/api-keys/dialects/dialects.js')>(
  '#libs/api-keys/dialects/dialects.js',
);

const metadata = new Reflector();
const of = (key: string, handler: object) => metadata.get<unknown>(key, handler as () => void);

let deployment: Deployment;
let handlers: { name: string; handler: object }[];

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  const modules = [...deployment.api.get(ModulesContainer).values()];
  const controllers = new Set(modules.flatMap((module) => [...module.controllers.values()].map((c) => c.metatype)));
  handlers = [...controllers].flatMap((controller) => handlersOf(controller as new () => object));
});

afterAll(() => deployment.stop());

function handlersOf(controller: new () => object) {
  return Object.getOwnPropertyNames(controller.prototype)
    .filter((name) => name !== 'constructor')
    .map((name) => ({
      name: `${controller.name}.${name}`,
      handler: (controller.prototype as Record<string, object>)[name]!,
    }))
    .filter(({ handler }) => typeof handler === 'function' && of(PATH_METADATA, handler) !== undefined);
}

it('every handler implements a route of the contract, and therefore has a RoutePolicy', () => {
  expect(handlers.length).toBeGreaterThan(0);
  expect(handlers.filter(({ handler }) => !of(ROUTE, handler)).map(({ name }) => name)).toEqual([]);
});

it('every route of the contract has exactly one handler', () => {
  const implemented = handlers.map(({ handler }) => of(ROUTE, handler));
  const count = (route: unknown) => implemented.filter((other) => other === route).length;
  const routes = [...allRoutes(), ...Object.values(dialects).flatMap((dialect) => dialect.routes)];
  expect(routes.filter(({ route }) => count(route) !== 1).map(({ name }) => name)).toEqual([]);
});
