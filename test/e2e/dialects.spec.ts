import { afterEach, describe, expect, it } from '@jest/globals';
import { builtModule } from '../support/built-module.js';
import { startDeployment, type Deployment } from '../support/deployment.js';

const { dialects } = await builtModule<typeof import('#libs/api-keys/dialects/dialects.js')>(
  '#libs/api-keys/dialects/dialects.js',
);

let deployment: Deployment;

afterEach(() => deployment.stop());

const all = Object.entries(dialects).flatMap(([dialect, { routes }]) =>
  routes.map(({ route }) => ({ dialect, route })),
);

/** Returns the dialects that respond, and those that the OpenAPI document describes. */
async function speaking(): Promise<{ responding: Set<string>; described: Set<string> }> {
  const responding = new Set<string>();
  for (const { dialect, route } of all) {
    const response = await fetch(deployment.url + route.path.replace(':id', '1'), { method: route.method });
    if (response.status !== 404) responding.add(dialect);
  }
  const { paths } = (await (await fetch(`${deployment.url}/openapi.json`)).json()) as { paths: object };
  const described = all.filter(({ route }) => Object.hasOwn(paths, route.path.replace(':id', '{id}')));
  return { responding, described: new Set(described.map(({ dialect }) => dialect)) };
}

describe('dialects', () => {
  it.each([
    [undefined, ['commandagi', 'agentity']],
    ['commandagi', ['commandagi']],
    ['agentity', ['agentity']],
    ['none', []],
  ])('with DIALECTS=%s are served and described: %j', async (setting, expected) => {
    deployment = await startDeployment({ worker: false, ...(setting && { env: { DIALECTS: setting } }) });
    expect(await speaking()).toEqual({ responding: new Set(expected), described: new Set(expected) });
  });
});
