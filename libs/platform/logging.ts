import { inspect } from 'node:util';
import type { LoggerService } from '@nestjs/common';
import pino from 'pino';
import type { Config } from './config.js';
import { redact } from './redact.js';

/**
 * Nest's log lines as JSON on standard output, one object per line, by pino. Credentials are removed from every line.
 */
export function createLogger(config: Config, name: string): LoggerService {
  const logger = pino({ name, level: config.settings.LOG_LEVEL });
  // Nest passes a message first and the context last; an error's stack is between them.
  const line =
    (level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace') =>
    (message: unknown, ...rest: unknown[]) => {
      const context = rest.at(-1);
      const stack = rest.length > 1 ? rest[0] : undefined;
      logger[level](
        { context, ...(stack !== undefined && { stack: redact(typeof stack === 'string' ? stack : inspect(stack)) }) },
        redact(String(message)),
      );
    };
  return {
    log: line('info'),
    error: line('error'),
    warn: line('warn'),
    debug: line('debug'),
    verbose: line('trace'),
    fatal: line('fatal'),
  };
}
