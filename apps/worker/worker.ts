import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Config } from '#libs/platform/config.js';
import { createLogger } from '#libs/platform/logging.js';
import { WorkerModule } from './worker.module.js';

/** The memory that Node reserves at once for small buffers. An ingestion makes one of 600 bytes for each event. */
const BUFFER_POOL_BYTES = 262_144;

export function createWorker(config: Config): Promise<INestApplicationContext> {
  // With Node's 8 kB, the garbage collector takes a tenth more of the worker's time.
  Buffer.poolSize = BUFFER_POOL_BYTES;
  return NestFactory.createApplicationContext(WorkerModule.forRoot(config), {
    logger: createLogger(config, 'worker'),
    abortOnError: false,
  });
}
