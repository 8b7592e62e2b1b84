// Writes a JSON Schema as types of Python.

const SIMPLE = { string: 'str', integer: 'int', boolean: 'bool', null: 'None' };

/**
 * The declarations of a schema and of all that it uses, each after those that it uses.
 *
 * @param schema an object with `$defs`, as zod writes it
 * @returns the text of a module
 */
export function pythonTypes(name, { $defs, ...schema }) {
  const declarations = new Map();

  const typeOf = (part, path) => {
    if (part.$ref) return typeOfDefinition(part.$ref.split('/').at(-1));
    if (part.enum) return `Literal[${part.enum.map((value) => JSON.stringify(value)).join(', ')}]`;
    if (part.anyOf) return part.anyOf.map((variant) => typeOf(variant, path)).join(' | ');
    if (part.type === 'array') return `list[${typeOf(part.items, path)}]`;
    if (part.type === 'object' && !part.properties) return `dict[str, ${typeOf(part.additionalProperties, path)}]`;
    if (part.type === 'object') return declare(path, classOf(path, part));
    const types = [part.type].flat();
    if (types.every((type) => type in SIMPLE)) return types.map((type) => SIMPLE[type]).join(' | ');
    throw new Error(`There is no Python type for ${path}: ${JSON.stringify(part)}`);
  };

  const declare = (path, text) => {
    declarations.set(path, text);
    return path;
  };

  const typeOfDefinition = (definition) => {
    const type = typeOf($defs[definition], definition);
    return type.startsWith('Literal') ? declare(definition, `${definition} = ${type}`) : type;
  };

  const classOf = (path, { properties, required }) => {
    const fields = Object.entries(properties).map(([field, part]) => {
      const type = typeOf(part, path + pascalCase(field));
      const note = part.description ? `\n    """${part.description}"""` : '';
      return `\n    ${field}: ${required.includes(field) ? type : `NotRequired[${type}]`}${note}`;
    });
    return `class ${path}(TypedDict):${fields.join('')}`;
  };

  typeOf(schema, name);
  return `from typing import Literal, NotRequired, TypedDict\n\n${[...declarations.values()].join('\n\n\n')}\n`;
}

/** `ApiKey` of `api_key`. */
function pascalCase(name) {
  return name.replace(/(?:^|_)([a-z])/g, (_, letter) => letter.toUpperCase());
}
