import type { Command } from 'commander';

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
