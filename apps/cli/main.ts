import { runCommand } from './run-command.js';

// Ends even if something forgot to close what it had opened.
process.exit(await runCommand(process.argv.slice(2), process));
