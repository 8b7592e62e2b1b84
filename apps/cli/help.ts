import { Command, type AddHelpTextContext, type AddHelpTextPosition } from 'commander';

/** Narrower columns are not wrapped. */
export const LEAST_WIDTH = 12;

/** A command whose texts below its help are as wide as the terminal: the library wraps only what it writes itself. */
export class WrappedCommand extends Command {
  override createCommand(name?: string): WrappedCommand {
    return new WrappedCommand(name);
  }

  override addHelpText(position: AddHelpTextPosition, text: string | ((context: AddHelpTextContext) => string)): this {
    return super.addHelpText(position, typeof text === 'string' ? wrapped(text) : text);
  }
}

/** Each paragraph is as wide as the terminal, and indented lines stay as they are, to be copied. */
function wrapped(text: string): (context: AddHelpTextContext) => string {
  const lines = text.replace(/(?<=\S)\n(?=\S)/g, ' ').split('\n');
  return ({ command, error }) => {
    const help = command.createHelp();
    const output = command.configureOutput();
    const width = (error ? output.getErrHelpWidth?.() : output.getOutHelpWidth?.()) ?? USUAL_WIDTH;
    return lines.map((line) => (line.startsWith(' ') ? line : help.boxWrap(line, width))).join('\n');
  };
}

/** As the library assumes it. */
const USUAL_WIDTH = 80;

/** Replaces the command of the library, which shows the general help for a name that no command has. */
export function addHelpCommand(program: Command): void {
  program
    .command('help')
    .helpGroup('Commands:')
    .description('show the help of a command')
    .argument('[COMMAND...]')
    .action((names: string[]) => showHelp(program, names));
}

async function showHelp(command: Command, [name, ...rest]: string[]): Promise<void> {
  if (name === undefined) command.help();
  const child = command.commands.find((each) => each.name() === name);
  if (child) return showHelp(child, rest);
  if (command.commands.length === 0) command.error(`error: '${command.name()}' has no command '${name}'`);
  // Rejects the name, and suggests a similar one.
  await command.parseAsync([name], { from: 'user' });
}
