// Writes the operations of the API as methods of Python, for a client that waits and for an asynchronous one.
import { docstring, pascalCase, PythonTypes, usableName } from './python-types.mjs';

/** The groups that send their calls by a class of `keyledger.client._callers`. */
const CLIENTS = {
  sync: { prefix: '', caller: 'Caller', def: 'def', iterator: 'Iterator', send: '' },
  async: { prefix: 'Async', caller: 'AsyncCaller', def: 'async def', iterator: 'AsyncIterator', send: 'await ' },
};

/**
 * @param contract the route table, and the schemas that no route has
 * @returns the texts of two modules, and a reference in Markdown
 */
export function pythonClient({ routes, schemas, z }) {
  const types = new PythonTypes();
  for (const [name, schema] of Object.entries(schemas)) types.add(name, z.toJSONSchema(schema));
  const groups = Object.entries(routes).map(([group, members]) => ({
    name: snakeCase(group),
    className: pascalCase(group),
    operations: Object.entries(members).map(([name, route]) => operationOf(group, name, route, types, z)),
  }));
  return {
    types: types.module('The values that the API takes and returns, as they are in JSON.'),
    operations: operationsModule(groups),
    reference: referenceOf(groups),
  };
}

function operationOf(group, name, route, types, z) {
  const path = pascalCase(group) + pascalCase(name);
  const argumentsIn = (part) => {
    if (!route[part]) return [];
    const { $defs, properties = {}, required = [] } = z.toJSONSchema(route[part], { io: 'input' });
    return Object.entries(properties).map(([field, schema]) => ({
      name: usableName(field.replaceAll('-', '_')),
      type: isFlag(schema, part) ? 'bool' : types.add(path + pascalCase(field), { ...schema, $defs }),
      isRequired: required.includes(field),
    }));
  };
  const signed = route.signedBody ? [{ name: 'content', type: 'bytes', isRequired: true }] : [];
  const parts = {
    params: argumentsIn('params').map((argument) => ({ ...argument, isRequired: true })),
    query: argumentsIn('query'),
    headers: argumentsIn('headers'),
    body: [...argumentsIn('body'), ...signed],
  };
  const all = Object.values(parts).flat();
  if (new Set(all.map((one) => one.name)).size < all.length) throw new Error(`${path} has two arguments of one name.`);
  return {
    constant: snakeCase(path).toUpperCase(),
    name: usableName(snakeCase(name)),
    route,
    parts,
    ...resultOf(path, name, route, types, z),
  };
}

/** `kind` is the method of the caller that sends the operation. */
function resultOf(path, name, { success }, types, z) {
  const [streamed, ...others] = success.stream ?? [];
  if (streamed === 'text/event-stream') return { kind: 'events', type: 'AuditEvent' };
  if (others.length > 0) return { kind: 'lines', type: 'str' };
  if (streamed) return { kind: 'call', type: streamed.startsWith('text/') ? 'str' : 'bytes' };
  if (!success.body) return { kind: 'call', type: 'None' };
  const isList = /^(list|search)/.test(name);
  const schema = z.toJSONSchema(success.body);
  const type = types.add(path + (isList ? 'Page' : 'Result'), schema);
  if (!isList) return { kind: 'call', type };
  const item = types.add(`${path}PageData`, { ...schema.properties.data.items, $defs: schema.$defs });
  return { kind: 'listing', type, item };
}

/** A truth value, which a query has as a text. */
function isFlag({ enum: values }, part) {
  return part === 'query' && values?.join() === 'true,false';
}

function operationsModule(groups) {
  const operations = groups.flatMap((group) => group.operations);
  const classes = Object.values(CLIENTS).map((client) => [
    ...groups.map((group) => classOf(group, client)),
    clientClass(groups, client),
  ]);
  return `"""The operations of the API."""

from collections.abc import AsyncIterator, Iterator
from typing import List, Literal

from .. import types
from ._callers import AsyncCaller, AsyncListing, Caller, Listing
from ._operation import NOT_GIVEN, NotGiven, Operation

${operations.map((operation) => constantOf(operation)).join('\n')}


${classes.flat().join('\n\n\n')}
`;
}

function constantOf({ constant, type, route, parts }) {
  const { method, path, idempotent, body, signedBody } = route;
  const template = path.replace(/:(\w+)/g, '{$1}').replace(/\*(\w+)/, '{*$1}');
  const named = { query: namesOf(parts.query), headers: namesOf(parts.headers), secrets: idempotent?.secrets ?? [] };
  const settings = [
    ...Object.entries(named)
      .filter(([, names]) => names.length > 0)
      .map(([name, names]) => `${name}=${tupleOf(names)}`),
    ...(body ? ['has_body=True'] : []),
    ...(signedBody ? ['is_signed=True'] : []),
    ...(idempotent ? ['is_idempotent=True'] : []),
  ];
  const shown = qualified(type);
  return `${constant} = Operation[${shown}](${[`"${method}"`, `"${template}"`, shown, ...settings].join(', ')})`;
}

function classOf({ className, operations }, client) {
  const methods = operations.map((operation) => methodOf(operation, client));
  return `class ${client.prefix}${className}:
    def __init__(self, caller: ${client.caller}) -> None:
        self._caller = caller
${methods.join('')}`.trimEnd();
}

function methodOf(operation, client) {
  const { constant, kind, route, parts } = operation;
  const isCall = kind === 'call';
  const passed = Object.values(parts)
    .flat()
    .map(({ name }) => `${name}=${name}`);
  const text = [route.summary, ...(route.description ? [route.description] : [])].join('\n\n        ');
  return `
    ${isCall ? client.def : 'def'} ${signatureOf(operation, client)}:
        ${docstring(text)}
        return ${isCall ? client.send : ''}self._caller.${kind}(${[constant, ...passed].join(', ')})
`;
}

function signatureOf({ name, kind, type, item, parts: { params, ...others } }, { prefix, iterator }) {
  const optional = Object.values(others).flat();
  const shown = [
    'self',
    ...params.map((argument) => `${argument.name}: ${qualified(argument.type)}`),
    ...(optional.length > 0 ? ['*'] : []),
    ...optional.map(({ name: argument, type: its, isRequired }) =>
      isRequired ? `${argument}: ${qualified(its)}` : `${argument}: ${qualified(its)} | NotGiven = NOT_GIVEN`,
    ),
  ];
  const results = {
    call: qualified(type),
    listing: `${prefix}Listing[${qualified(item ?? '')}, ${qualified(type)}]`,
    lines: `${iterator}[str]`,
    events: `${iterator}[${qualified(type)}]`,
  };
  return `${name}(${shown.join(', ')}) -> ${results[kind]}`;
}

function clientClass(groups, { prefix, caller }) {
  const members = groups.map(({ name, className }) => `        self.${name} = ${prefix}${className}(caller)\n`);
  return `class ${prefix}Operations:
    """The operations of the API, in groups."""

    def __init__(self, caller: ${caller}) -> None:
${members.join('')}`.trimEnd();
}

function referenceOf(groups) {
  const sections = groups.map(({ name, operations }) => {
    const methods = operations.map(({ route, ...operation }) => {
      const code = signatureOf(operation, CLIENTS.sync)
        .replace(/self(, )?/, '')
        .replaceAll('types.', '');
      return `### \`${name}.${operation.name}\`\n\n${route.summary}.\n\n\`\`\`python\n${code}\n\`\`\``;
    });
    return [`## \`${name}\``, ...methods].join('\n\n');
  });
  return `${sections.join('\n\n')}\n`;
}

/** Within a class with a method \`list\`, the type is not \`list\`. */
function qualified(type) {
  return type
    .replace(/(?<![\w."])(?!Literal\b|List\b)[A-Z]\w*(?![\w"])/g, (name) => (name === 'None' ? name : `types.${name}`))
    .replace(/\blist\[/g, 'List[');
}

function snakeCase(name) {
  return name
    .replace('GitHub', 'Github')
    .replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`)
    .toLowerCase();
}

function namesOf(parts) {
  return parts.map(({ name }) => name);
}

function tupleOf(names) {
  return `(${names
    .map((name) => `"${name}", `)
    .join('')
    .trimEnd()})`;
}
