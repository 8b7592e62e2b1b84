import fc from 'fast-check';
import { anyCharacter } from '../support/any-text.js';

/** The part of JSON Schema that our OpenAPI document uses. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly items?: JsonSchema;
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly examples?: readonly unknown[];
}

/** Values that roughly match the schema: patterns are ignored, and lengths stay small. */
export function valuesOf(schema: JsonSchema, resolve: (ref: string) => JsonSchema): fc.Arbitrary<unknown> {
  const inner = (part: JsonSchema) => valuesOf(part, resolve);
  if (schema.$ref) return inner(resolve(schema.$ref));
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return fc.oneof(...choices.map(inner));
  if (schema.allOf) return fc.tuple(...schema.allOf.map(inner)).map((parts) => Object.assign({}, ...parts) as unknown);
  switch (typeof schema.type === 'string' ? schema.type : schema.type?.[0]) {
    case 'null':
      return fc.constant(null);
    case 'boolean':
      return fc.boolean();
    case 'integer':
      return fc.integer({ min: schema.minimum ?? -100, max: Math.min(schema.maximum ?? 100, 2 ** 31 - 1) });
    case 'number':
      return fc.double({ min: schema.minimum ?? -100, max: schema.maximum ?? 100, noNaN: true });
    case 'array':
      return fc.array(inner(schema.items ?? {}), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 5, 5),
      });
    case 'object':
      return objectOf(schema, inner);
    default:
      return textOf(schema);
  }
}

function objectOf(schema: JsonSchema, inner: (part: JsonSchema) => fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const named = Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, part]) => [name, inner(part)]));
  const known = fc.record(named, { requiredKeys: [...(schema.required ?? [])] });
  if (typeof schema.additionalProperties !== 'object') return known;
  return fc
    .tuple(known, fc.dictionary(fc.string({ minLength: 1, maxLength: 10 }), inner(schema.additionalProperties)))
    .map(([fixed, free]) => ({ ...free, ...fixed }));
}

function textOf({ format, minLength = 0, maxLength = 40, examples }: JsonSchema): fc.Arbitrary<unknown> {
  const given = examples?.length ? [fc.constantFrom(...examples)] : [];
  if (format === 'date-time') {
    const date = fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true });
    return fc.oneof(
      ...given,
      date.map((at) => at.toISOString()),
    );
  }
  if (format === 'email') return fc.emailAddress();
  const length = { minLength, maxLength: Math.max(minLength, Math.min(maxLength, 40)) };
  return fc.oneof(...given, fc.string(length), fc.string({ ...length, unit: anyCharacter }));
}

const deep = (open: string, close: string) => {
  const text = open.repeat(2_000) + close.repeat(2_000);
  return { [RAW]: text };
};

/** Marks JSON text that no JavaScript value produces. */
const RAW = '\0raw';

/** Values that a schema does not describe, and values that often break programs. */
export const hostileValues: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    0,
    -0,
    -1,
    1.5,
    2 ** 31,
    2 ** 53,
    -(2 ** 63),
    1e308,
    '',
    ' ',
    '\0',
    '\ud800',
    '\ufeff',
    '\ufffd',
    '🔑',
    'null',
    'undefined',
    'NaN',
    '0x10',
    '1e9',
    '00',
    '-',
    '%',
    '%00',
    '%FF',
    '../..',
    "'; SELECT 1 --",
    '\r\nX-A: b',
    '2026-01-01T00:00:00+16:00',
    '0000-01-01T00:00:00Z',
    '+275760-09-13T00:00:00Z',
    '2026-02-30T00:00:00Z',
    'key_00000000000000000000000000',
    'key_7zzzzzzzzzzzzzzzzzzzzzzzzz',
    'org_00000000000000000000000000',
    '::1',
    '1.2.3.4/33',
    '*.example.com',
    'a'.repeat(5_000),
    '9'.repeat(400),
    [],
    {},
    [[]],
    { __proto__: null, a: 1 },
    Array.from({ length: 1_000 }, () => 'a'),
    JSON.parse('{"__proto__":{"a":1},"constructor":{"prototype":{}}}'),
  ),
  fc.constantFrom(deep('[', ']'), deep('{"a":', '1}'.replace('1', '')), { [RAW]: '1e400' }, { [RAW]: '{"a":1,"a":2}' }),
  fc.string({ unit: anyCharacter, maxLength: 60 }),
  fc.json({ maxDepth: 3 }).map((text) => JSON.parse(text) as unknown),
);

/** Replaces, adds or removes something anywhere in the value. */
export function mutated(value: unknown): fc.Arbitrary<unknown> {
  if (typeof value !== 'object' || value === null) return hostileValues;
  const entries = Object.entries(value);
  const rebuilt = (next: readonly (readonly [string, unknown])[]) =>
    Array.isArray(value) ? next.map(([, inner]) => inner) : Object.fromEntries(next);
  const extra = fc
    .tuple(fc.oneof(fc.constantFrom('__proto__', 'constructor', 'id', ''), fc.string({ maxLength: 20 })), hostileValues)
    .map((entry) => rebuilt([...entries, entry]));
  if (entries.length === 0) return fc.oneof(hostileValues, extra);
  const changed = fc
    .nat({ max: entries.length - 1 })
    .chain((index) =>
      mutated(entries[index]![1]).map((inner) => rebuilt(entries.with(index, [entries[index]![0], inner]))),
    );
  const removed = fc
    .nat({ max: entries.length - 1 })
    .map((index) => rebuilt(entries.filter((_, other) => other !== index)));
  return fc.oneof({ arbitrary: changed, weight: 5 }, extra, removed, hostileValues);
}

/** The value as JSON text. A {@link RAW} value becomes the text that it holds. */
export function jsonText(value: unknown): string {
  if (value !== null && typeof value === 'object') {
    if (RAW in value) return String(value[RAW]);
    if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`;
    return `{${Object.entries(value)
      .map(([name, inner]) => `${JSON.stringify(name)}:${jsonText(inner)}`)
      .join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}
