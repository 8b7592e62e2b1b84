import {
  eventSubjects,
  exampleTexts,
  exampleValues,
  omitted,
  streamExamples,
  wholeExamples,
} from './openapi-example-values.js';
import { problems, type ProblemCode } from './problem.js';

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** What is read of a JSON Schema. */
interface Schema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  const?: Json;
  enum?: Json[];
  examples?: Json[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema | boolean;
  items?: Schema;
  prefixItems?: Schema[];
  minimum?: number;
  maximum?: number;
}

interface Media {
  schema?: Schema;
  example?: Json;
  examples?: Record<string, { $ref: string }>;
}

interface Operation {
  operationId: string;
  parameters?: { name: string; schema: Schema; example?: Json }[];
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, { description: string; content?: Record<string, Media> }>;
}

interface Document {
  servers: { url: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: {
    schemas: Record<string, Schema>;
    examples?: Record<string, { value: Json }>;
    responses?: Operation['responses'];
  };
}

/** Gives each schema, parameter, body and response of the document an example, and removes bounds that say nothing. */
export function addExamples(document: Document): void {
  removeSafeBounds(document);
  const examples = new Examples(document.components.schemas);
  for (const operation of Object.values(document.paths).flatMap((path) => Object.values(path))) {
    addToOperation(operation, examples);
  }
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    schema.examples ??= [examples.of({ $ref: `#/components/schemas/${name}` }, name)];
  }
  const url = document.servers[0]!.url;
  document.components.examples = Object.fromEntries(
    Object.keys(problems).map((code) => [code, { value: problemExample(code as ProblemCode, url) }]),
  );
  shareProblems(document);
}

function addToOperation(operation: Operation, examples: Examples): void {
  const { operationId, parameters = [], requestBody, responses } = operation;
  for (const parameter of parameters) parameter.example ??= examples.of(parameter.schema, 'parameter', parameter.name);
  for (const media of Object.values(requestBody?.content ?? {})) {
    media.example = examples.ofBody(media.schema!, operationId);
  }
  for (const [status, { description, content = {} }] of Object.entries(responses)) {
    for (const [type, media] of Object.entries(content)) {
      if (type.includes('problem+json')) media.examples = problemExamples(description);
      else if (type !== 'application/octet-stream')
        media.example = streamExamples[type] ?? examples.of(media.schema ?? {}, `${operationId}.${status}`);
    }
  }
}

/** Most operations have the same problems, which would otherwise be half of the document. */
function shareProblems({ paths, components }: Document): void {
  const names = new Map<string, string>();
  components.responses = {};
  for (const { responses } of Object.values(paths).flatMap((path) => Object.values(path))) {
    for (const [status, response] of Object.entries(responses)) {
      if (Number(status) < 400) continue;
      const text = JSON.stringify(response);
      const name = names.get(text) ?? `Problem${status}-${names.size + 1}`;
      names.set(text, name);
      components.responses[name] = response;
      responses[status] = { $ref: `#/components/responses/${name}` } as unknown as typeof response;
    }
  }
}

/** One for each code that the description of the response names. */
function problemExamples(description: string): Record<string, { $ref: string }> {
  const codes = [...description.matchAll(/`(\w+)`:/g)].flatMap(([, code]) => code ?? []);
  return Object.fromEntries(codes.map((code) => [code, { $ref: `#/components/examples/${code}` }]));
}

function problemExample(code: ProblemCode, url: string): Json {
  const { title, status, advice } = problems[code];
  const errors = {
    errors: [{ location: 'body.scopes[0]', message: 'must be resource:action, where either half may be *' }],
  };
  return {
    type: `${url}/problems/${code}`,
    title,
    status,
    detail: advice,
    code,
    request_id: exampleTexts['request_id']!,
    ...(code === 'invalid_request' && errors),
  };
}

/** Each whole number of JavaScript has these bounds. They would say nothing about the value. */
function removeSafeBounds(part: unknown): void {
  if (typeof part !== 'object' || part === null) return;
  const schema = part as Schema;
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  for (const child of Object.values(part)) removeSafeBounds(child);
}

class Examples {
  constructor(private readonly components: Readonly<Record<string, Schema>>) {}

  /** @param context what has the value, such as a component or an operation */
  of(schema: Schema, context: string, name = ''): Json {
    return this.#value(schema, name, context);
  }

  /** What a caller would send: the required fields, or all if none is. */
  ofBody(schema: Schema, operationId: string): Json {
    const known = wholeExamples[operationId];
    if (known !== undefined) return known;
    const { properties = {}, required = [] } = this.#resolved(schema);
    const names = required.length > 0 ? required : Object.keys(properties);
    return Object.fromEntries(names.map((name) => [name, this.#value(properties[name]!, name, operationId)]));
  }

  #resolved(schema: Schema): Schema {
    return schema.$ref === undefined ? schema : this.components[componentOf(schema.$ref)]!;
  }

  #value(schema: Schema, name: string, context: string): Json {
    const known = exampleValues[`${context}.${name}`] ?? eventField(name, context);
    if (known !== undefined) return known;
    if (schema.$ref !== undefined) {
      const component = componentOf(schema.$ref);
      return wholeExamples[component] ?? this.#value(this.components[component]!, name, component);
    }
    if (schema.examples) return schema.examples[0]!;
    if (schema.const !== undefined) return schema.const;
    if (schema.enum) return schema.enum[0]!;
    const choices = schema.anyOf ?? schema.oneOf ?? schema.allOf;
    if (choices && exampleValues[name] === null) return null;
    if (choices)
      return this.#value(
        choices.find(({ type }) => type !== 'null')!,
        name,
        context,
      );
    return this.#ofType(schema, name, context);
  }

  #ofType(schema: Schema, name: string, context: string): Json {
    switch ([schema.type ?? []].flat()[0]) {
      case 'object':
        return this.#object(schema, name, context);
      case 'array':
        if (schema.prefixItems) return schema.prefixItems.map((item, index) => this.#value(item, String(index), name));
        return [this.#value(schema.items ?? {}, singular(name), context)];
      case 'boolean':
        return exampleValues[name] ?? false;
      case 'integer':
      case 'number':
        return exampleValues[name] ?? Math.max(1, schema.minimum ?? 1);
      case 'string':
        return exampleTexts[name] ?? formats[schema.format ?? ''] ?? 'text';
      default:
        return exampleValues[name] ?? exampleTexts[name] ?? 'value';
    }
  }

  #object({ properties = {}, required = [], additionalProperties }: Schema, name: string, context: string): Json {
    // Optional fields of events belong to special cases, which exclude each other.
    const names = isEvent(context) ? required : Object.keys(properties);
    const fields = names
      .filter((field) => !omitted.has(`${context}.${field}`))
      .map((field): [string, Json] => [field, this.#value(properties[field]!, field, context)]);
    if (fields.length > 0 || typeof additionalProperties !== 'object') return Object.fromEntries(fields);
    return exampleValues[name] ?? { name: this.#value(additionalProperties, 'name', context) };
  }
}

function isEvent(context: string): boolean {
  return context.endsWith('Event') && context !== 'AuditEvent';
}

/** What the events of one kind have in common. */
function eventField(name: string, context: string): Json | undefined {
  if (!isEvent(context)) return undefined;
  if (name === 'subject') return eventSubjects.find(([prefix]) => context.startsWith(prefix))?.[1];
  return exampleValues[`Event.${name}`];
}

const formats: Readonly<Record<string, string>> = {
  'date-time': '2026-03-02T09:30:00.000Z',
  uuid: '01890a5d-ac96-774b-bcce-b302099a8057',
  email: 'ada@example.com',
  uri: 'https://keys.example.com/',
};

function componentOf(ref: string): string {
  return ref.slice(ref.lastIndexOf('/') + 1);
}

function singular(name: string): string {
  return name.replace(/s$/, '');
}
