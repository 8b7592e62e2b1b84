// The reference of a package, made of the types and comments of what it exports.
import ts from 'typescript';

/**
 * @param modules the declaration files of the package, by the names under which programs import them
 * @returns Markdown
 * @throws Error if an export has no comment
 */
export function referenceOf(modules) {
  const options = { module: ts.ModuleKind.NodeNext, noLib: true, types: [] };
  const program = ts.createProgram(Object.values(modules), options);
  const checker = program.getTypeChecker();
  const sections = Object.entries(modules).map(([name, file]) => {
    const module = checker.getSymbolAtLocation(program.getSourceFile(file));
    const exports = checker.getExportsOfModule(module).map((symbol) => exportOf(symbol, checker));
    return [`## \`${name}\``, ...exports].join('\n\n');
  });
  return `${sections.join('\n\n')}\n`;
}

function exportOf(symbol, checker) {
  const original = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  const comment = ts.displayPartsToString(original.getDocumentationComment(checker));
  if (!comment) throw new Error(`The export ${symbol.name} has no comment: the reference of packages needs one.`);
  const tags = original.getJsDocTags(checker).map(({ name, text }) => {
    return `- \`@${name}\` ${ts.displayPartsToString(text).replaceAll(/\s+/g, ' ')}`;
  });
  const types = original.declarations.map((declaration) => textOf(declaration));
  const code = ['```ts', ...new Set(types), '```'].join('\n');
  return [`### \`${symbol.name}\``, comment, ...(tags.length > 0 ? [tags.join('\n')] : []), code].join('\n\n');
}

/** Without the comment before it. */
function textOf(declaration) {
  const statement = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
  return statement.getText().replace(/^export (declare )?/, '');
}
