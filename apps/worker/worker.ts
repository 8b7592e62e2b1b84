import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Config } from '#libs/platform/config.js';
import { createLogger } from '#libs/platform/logging.js';
import { WorkerModule } from './worker.module.js';

export function createWorker(config: Config): Promise<INestApplicationContext> {
  return NestFactory.createApplicationContext(WorkerModule.forRoot(config), {
    logger: createLogger(config, 'worker'),
    abortOnError: false,
  });
}
