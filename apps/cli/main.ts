#!/usr/bin/env node
import { runCommand } from './run-command.js';

// Exits even if a command forgot to close something that it opened.
process.exit(await runCommand(process.argv.slice(2), process));
