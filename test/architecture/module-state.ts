import { join } from 'node:path';
import type Ts from 'typescript';
import { builtModule } from '../support/built-module.js';

const { default: ts } = await builtModule<{ default: typeof import('typescript') }>('typescript');

/**
 * Constructors whose instances do not change, or change only by assignments and the methods in `CHANGES`. Metrics
 * belong to the process, which has each of them once.
 */
const HARMLESS =
  /^(Set|Map|WeakMap|WeakSet|Array|RegExp|Error|URL|TextEncoder|TextDecoder|Intl\.\w+|Uint8Array|PlainCounter|Gauge)$/;
/** Methods that change what they are called on. */
const CHANGES =
  /^(set|add|delete|clear|push|pop|shift|unshift|splice|sort|reverse|fill|copyWithin|write\w*|getOrInsert\w*)$/;

/** The mutable state of each module below `root`, as `file name`. Imports are not followed. */
export function mutableState(root: string, files: readonly string[]): string[] {
  const options = {
    noResolve: true,
    noLib: true,
    allowJs: true,
    jsx: ts.JsxEmit.Preserve,
    target: ts.ScriptTarget.Latest,
  };
  const program = ts.createProgram(
    files.map((file) => join(root, file)),
    options,
  );
  const checker = program.getTypeChecker();
  return files.flatMap((file) =>
    mutableStateOf(program.getSourceFile(join(root, file))!, checker).map((name) => `${file} ${name}`),
  );
}

/**
 * The names of variables that functions assign or change in place, of instances of classes that may have state, and of
 * static fields that are not constant.
 */
function mutableStateOf(source: Ts.SourceFile, checker: Ts.TypeChecker): string[] {
  const found = new Set<string>();
  const variables = new Set<Ts.Node>();
  for (const statement of source.statements) {
    if (ts.isVariableStatement(statement)) noteVariables(statement.declarationList, variables, found);
    if (ts.isClassDeclaration(statement)) noteStaticFields(statement, found);
  }
  const visit = (node: Ts.Node): void => {
    const changed = changedBy(node);
    const name = changed && rootOf(changed);
    const declaration = name && checker.getSymbolAtLocation(name)?.valueDeclaration;
    if (declaration && variables.has(declaration)) found.add(name.text);
    ts.forEachChild(node, visit);
  };
  for (const statement of source.statements) visitFunctions(statement, visit);
  return [...found];
}

/** Calls `visit` for each outermost function. Other code runs while the module is loaded, to make its constants. */
function visitFunctions(node: Ts.Node, visit: (node: Ts.Node) => void): void {
  if (ts.isFunctionLike(node)) visit(node);
  else ts.forEachChild(node, (child) => visitFunctions(child, visit));
}

function noteVariables(list: Ts.VariableDeclarationList, variables: Set<Ts.Node>, found: Set<string>): void {
  for (const declaration of list.declarations) {
    const { name, initializer } = declaration;
    variables.add(declaration);
    if (initializer && makesState(initializer)) found.add(name.getText());
  }
}

function noteStaticFields(declaration: Ts.ClassDeclaration, found: Set<string>): void {
  for (const member of declaration.members) {
    if (!ts.isPropertyDeclaration(member)) continue;
    const has = (kind: Ts.SyntaxKind) => member.modifiers?.some((modifier) => modifier.kind === kind) ?? false;
    const isConstant = has(ts.SyntaxKind.ReadonlyKeyword) && !(member.initializer && makesState(member.initializer));
    if (has(ts.SyntaxKind.StaticKeyword) && !isConstant)
      found.add(`${declaration.name?.text}.${member.name.getText()}`);
  }
}

/** Whether the expression, without the functions in it, makes something that may change. */
function makesState(node: Ts.Node): boolean {
  if (ts.isFunctionLike(node) || ts.isTypeNode(node)) return false;
  if (ts.isNewExpression(node) && !HARMLESS.test(node.expression.getText())) return true;
  return ts.forEachChild(node, (child) => makesState(child) || undefined) ?? false;
}

/** What an expression changes: the left side of an assignment, or what a changing method is called on. */
function changedBy(node: Ts.Node): Ts.Expression | undefined {
  if (ts.isBinaryExpression(node)) {
    const { kind } = node.operatorToken;
    const isAssignment = kind >= ts.SyntaxKind.FirstAssignment && kind <= ts.SyntaxKind.LastAssignment;
    return isAssignment ? node.left : undefined;
  }
  if (ts.isPostfixUnaryExpression(node)) return node.operand;
  if (ts.isPrefixUnaryExpression(node)) {
    const steps: readonly Ts.SyntaxKind[] = [ts.SyntaxKind.PlusPlusToken, ts.SyntaxKind.MinusMinusToken];
    return steps.includes(node.operator) ? node.operand : undefined;
  }
  if (ts.isDeleteExpression(node)) return node.expression;
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return undefined;
  return CHANGES.test(node.expression.name.text) ? node.expression.expression : undefined;
}

/** `a` of `a.b[c].d`. */
function rootOf(node: Ts.Expression): Ts.Identifier | undefined {
  if (ts.isIdentifier(node)) return node;
  const isChain =
    ts.isPropertyAccessExpression(node) ||
    ts.isElementAccessExpression(node) ||
    ts.isNonNullExpression(node) ||
    ts.isParenthesizedExpression(node);
  return isChain ? rootOf(node.expression) : undefined;
}
