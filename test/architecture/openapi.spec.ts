import { expect, it } from '@jest/globals';
import { z } from 'zod';
import { pathTemplate } from '#libs/contract/route.js';
import { builtModule } from '../support/built-module.js';

const { openApiDocument } = await builtModule<typeof import('#libs/contract/openapi.js')>('#libs/contract/openapi.js');
// The names of schemas are in a registry of the copy of the contract that makes the document.
const { dialects } = await builtModule<typeof import('#libs/api-keys/dialects/dialects.js')>(
  '#libs/api-keys/dialects/dialects.js',
);
const { DomainEvent } = await builtModule<typeof import('#libs/contract/events.js')>('#libs/contract/events.js');
const { allRoutes } = await builtModule<typeof import('#libs/contract/routes.js')>('#libs/contract/routes.js');
const { createConfig, lintFromString } =
  await builtModule<typeof import('@redocly/openapi-core')>('@redocly/openapi-core');

interface Media {
  readonly schema: object;
  readonly example?: unknown;
  readonly examples?: object;
}

interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly { readonly name: string; readonly example?: unknown }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, Media>> }>>;
}

interface Schema {
  readonly enum?: readonly unknown[];
  readonly examples?: readonly unknown[];
}

const routes = [...allRoutes(), ...Object.values(dialects).flatMap((dialect) => dialect.routes)];
const text = JSON.stringify(openApiDocument({ serverUrl: 'https://keyledger.test', version: '1', routes }));
const document = JSON.parse(text) as {
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
};
const { schemas } = document.components;
const operations = Object.values(document.paths).flatMap((path) => Object.values(path));

it('the OpenAPI document passes the strict rules of a linter without a warning', async () => {
  const config = await createConfig({
    extends: ['recommended-strict'],
    rules: { 'operation-tag-defined': 'error', 'tag-description': 'error', 'no-invalid-media-type-examples': 'error' },
  });
  const found = await lintFromString({ source: text, absoluteRef: 'openapi.json', config });
  expect(found.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer])).toEqual([]);
});

it('every parameter, body, response and schema of the OpenAPI document has an example', () => {
  const missing = operations.flatMap(({ operationId, parameters = [], requestBody, responses }) => [
    ...parameters.filter(({ example }) => example === undefined).map(({ name }) => `${operationId} ${name}`),
    ...[requestBody, ...Object.values(responses)]
      .flatMap((part) => Object.entries(part?.content ?? {}))
      .filter(([type, { example, examples }]) => !type.includes('octet') && (example ?? examples) === undefined)
      .map(([type]) => `${operationId} ${type}`),
  ]);
  expect(missing).toEqual([]);
  expect(Object.entries(schemas).filter(([, { examples = [] }]) => examples.length === 0)).toEqual([]);
  // What a generator makes of a schema alone.
  expect(/9007199254740991|"example":"(text|string|value)"/.exec(text)).toBeNull();
});

it.each(DomainEvent.options.map((event) => event.shape.type.value))(
  'the example of the event %s is an event of this type',
  (type) => {
    const [example] =
      schemas[`${type.replaceAll(/(?:^|[._])(\w)/g, (_, letter: string) => letter.toUpperCase())}Event`]!.examples!;
    expect(DomainEvent.parse(example)).toMatchObject({ type });
  },
);

it('the API accepts the example of every body', () => {
  const refused = routes.flatMap(({ name, route: { method, path, body } }) => {
    if (!body) return [];
    const { requestBody } = document.paths[pathTemplate(path)]![method.toLowerCase()]!;
    const { error } = body.safeParse(requestBody!.content['application/json']!.example);
    return error ? [`${name}: ${z.prettifyError(error)}`] : [];
  });
  expect(refused).toEqual([]);
});

it('the enumerations that several operations share have names, and the tags are described in an order', () => {
  const shared = ['Role', 'Environment', 'ApiKeyStatus', 'VerificationCode', 'ProblemCode', 'UsageInterval'];
  for (const name of shared) {
    const values = JSON.stringify(schemas[name]!.enum);
    expect([name, text.split(`"enum":${values}`).length - 1]).toEqual([name, 1]);
  }
  const described = document.tags.map(({ name }) => name);
  expect(described[0]).toBe('API keys');
  expect(new Set(described)).toEqual(new Set(operations.flatMap(({ tags }) => tags)));
});
