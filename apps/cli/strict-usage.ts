import { Help, type Argument, type Command, type Option } from 'commander';

/** Makes suggestions include the options that the help does not list. The library uses one list for both. */
export const suggestEveryOption = {
  visibleOptions(this: Help, command: Command): Option[] {
    // The width is set only while the text of the help is written.
    const isText = this.helpWidth !== undefined;
    return isText ? Help.prototype.visibleOptions.call(this, command) : [...command.options];
  },
};

/**
 * Rejects mistakes that the library accepts: an option given twice, of which it uses the last, and a blank value or
 * argument, as an unset variable of a script leaves it.
 * @param mayRepeat whether the option may be repeated, with one value of a list each time
 */
export function refuseSlips(command: Command, mayRepeat: (option: Option) => boolean): void {
  for (const option of command.options) {
    let times = 0;
    command.on(`option:${option.name()}`, (value: unknown) => {
      times += 1;
      if (times > 1 && !mayRepeat(option)) command.error(`error: option '${option.flags}' may be given only once`);
      if (isBlank(value)) command.error(`error: option '${option.flags}' must not be empty`);
    });
  }
  command.hook('preAction', (_, running) => {
    if (running !== command) return;
    const { args, registeredArguments } = running;
    const blank = args.findIndex(isBlank);
    if (blank !== -1) command.error(`error: argument '${nameOf(registeredArguments[blank])}' must not be empty`);
  });
  for (const child of command.commands) refuseSlips(child, mayRepeat);
}

function isBlank(value: unknown): boolean {
  return typeof value === 'string' && value.trim() === '';
}

function nameOf(argument: Argument | undefined): string {
  return argument?.name() ?? '';
}
