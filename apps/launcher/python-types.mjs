// Writes JSON Schemas as types of Python.

const SIMPLE = { string: 'str', integer: 'int', boolean: 'bool', null: 'None' };
const KEYWORDS = new Set(['from', 'import', 'in', 'is', 'not']);

/** Gathers the types that schemas need. Types that several of them use are declared once. */
export class PythonTypes {
  #definitions = {};
  /** Texts by names, each after those that it uses. */
  #declarations = new Map();

  /**
   * @param name for an object that has no name of its own
   * @param schema with `$defs`, as zod writes it
   * @returns an expression: the type of the schema
   */
  add(name, { $defs, ...schema }) {
    Object.assign(this.#definitions, $defs);
    return this.#typeOf(schema, name);
  }

  /** The text of a module that declares the types. */
  module(title) {
    const imports = 'from typing import Literal, NotRequired, TypedDict';
    return `"""${title}"""\n\n${imports}\n\n${[...this.#declarations.values()].join('\n\n\n')}\n`;
  }

  #typeOf(part, path) {
    const variants = part.anyOf ?? part.oneOf;
    if (part.$ref) return this.#typeOfDefinition(part.$ref.split('/').at(-1));
    if (part.enum) return `Literal[${part.enum.map(literal).join(', ')}]`;
    if (part.const !== undefined) return `Literal[${literal(part.const)}]`;
    if (variants) {
      return [...new Set(variants.map((variant) => this.#typeOf(variant, path + variantName(variant))))].join(' | ');
    }
    if (part.type === 'array') return `list[${this.#typeOf(part.items, path)}]`;
    if (part.type === 'object' && !part.properties) {
      return `dict[str, ${this.#typeOf(part.additionalProperties, path)}]`;
    }
    if (part.type === 'object') return this.#declare(path, this.#typedDict(path, part));
    const types = [part.type].flat();
    if (types.every((type) => type in SIMPLE)) return types.map((type) => SIMPLE[type]).join(' | ');
    throw new Error(`There is no Python type for ${path}: ${JSON.stringify(part)}`);
  }

  #declare(name, text) {
    if ((this.#declarations.get(name) ?? text) !== text) throw new Error(`There are two Python types ${name}.`);
    this.#declarations.set(name, text);
    return name;
  }

  #typeOfDefinition(definition) {
    const part = this.#definitions[definition];
    const type = this.#typeOf(part, definition);
    return type.startsWith('Literal') || part.oneOf ? this.#declare(definition, `${definition} = ${type}`) : type;
  }

  #typedDict(name, { properties, required = [] }) {
    const fields = Object.entries(properties).map(([field, part]) => {
      const type = this.#typeOf(part, name + pascalCase(field));
      return { field, type: required.includes(field) ? type : `NotRequired[${type}]`, note: part.description };
    });
    if (fields.some(({ field }) => KEYWORDS.has(field))) {
      return `${name} = TypedDict("${name}", {${fields.map(({ field, type }) => `"${field}": ${type}`).join(', ')}})`;
    }
    const lines = fields.map(
      ({ field, type, note }) => `\n    ${field}: ${type}${note ? `\n    ${docstring(note)}` : ''}`,
    );
    return `class ${name}(TypedDict):${lines.join('')}`;
  }
}

/** A name of Python that stands for this one. */
export function usableName(name) {
  return KEYWORDS.has(name) ? `${name}_` : name;
}

export function docstring(text) {
  return `"""${text.replaceAll('\\', '\\\\').replaceAll('"""', "'''").replace(/"$/, '\\"')}"""`;
}

/** `ApiKey` of `api_key` and of `apiKey`. */
export function pascalCase(name) {
  return name.replace(/(?:^|[_-])([a-z])/g, (_, letter) => letter.toUpperCase());
}

function literal(value) {
  return typeof value === 'boolean' ? pascalCase(String(value)) : JSON.stringify(value);
}

/** Distinguishes objects that are variants of one type. */
function variantName({ properties }) {
  return pascalCase(String(properties?.type?.const ?? ''));
}
