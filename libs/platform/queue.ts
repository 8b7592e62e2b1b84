import type { EventEmitter } from 'node:events';
import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { createPostgresBackend, Queue, withBackend, Worker, type Job } from 'bullmq';
import type pg from 'pg';
import { QUEUE_SCHEMA, sessionOptions, survivingPool } from '#libs/database/database.js';
import { Config } from './config.js';
import { PlainCounter } from './metrics.js';

const { Queue: PostgresQueue, Worker: PostgresWorker } = withBackend(createPostgresBackend);

const failures = new PlainCounter(
  'keyledger_queue_failures_total',
  'Jobs that failed and are retried (job), and errors of the connection to the queue (connection)',
  ['queue', 'kind'],
);

/** Connections for all queues of a process, which add jobs. */
const CONNECTIONS_OF_QUEUES = 2;
/**
 * Connections for all workers of a process. Each of the four keeps one for notifications, so this must be larger than
 * their number. They share the others, because their statements are short.
 */
const CONNECTIONS_OF_WORKERS = 8;

const RENEW_SCHEDULES_MS = 5_000;
/**
 * The job of a worker that crashed waits for the end of its lock and then for two searches for such jobs: ten seconds.
 * Until then, no other job of the same shard group and no sweep runs.
 */
const AFTER_A_CRASH = { lockDuration: 6_000, stalledInterval: 2_000 };
/**
 * A worker that could not connect tries again after this time. By default it would wait for 15 seconds, and could not be
 * stopped meanwhile.
 */
const CONNECT_AGAIN_MS = 1_000;

/**
 * Does the work that a job names.
 * @param stop aborted when the process is asked to stop: work that would take longer than a transaction then ends, and the
 *   next job goes on with it
 */
type Work = (job: Job, stop: AbortSignal) => Promise<unknown>;

/**
 * BullMQ on PostgreSQL, or on Redis if `REDIS_URL` is set. Jobs only name work; its data is in PostgreSQL. So the loss
 * of the whole queue delays work until the next sweep and loses none.
 */
@Injectable()
export class Queues implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown {
  readonly #logger = new Logger(Queues.name);
  readonly #open: (Queue | Worker)[] = [];
  #poolOfQueues: pg.Pool | undefined;
  #poolOfWorkers: pg.Pool | undefined;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #stop = new AbortController();
  readonly #redisUrl: string | undefined;
  readonly #databaseUrl: string;

  constructor(config: Config) {
    this.#redisUrl = config.settings.REDIS_URL;
    this.#databaseUrl = config.settings.DATABASE_URL;
  }

  get backend(): 'redis' | 'postgresql' {
    return this.#redisUrl ? 'redis' : 'postgresql';
  }

  queue(name: string): Queue {
    const options = { defaultJobOptions: { removeOnComplete: true, removeOnFail: 100 } };
    const queue = this.#redisUrl
      ? new Queue(name, {
          ...options,
          // Fail at once while Redis is away, rather than gather jobs in memory: a lost notification does no harm.
          connection: { url: this.#redisUrl, enableOfflineQueue: false, maxRetriesPerRequest: 1 },
        })
      : new PostgresQueue(name, {
          ...options,
          connection: (this.#poolOfQueues ??= this.#postgresPool(CONNECTIONS_OF_QUEUES)),
        });
    return this.#keep(queue as Queue);
  }

  /** Starts to work, or fails as {@link Queues.onModuleInit} does. */
  async worker(name: string, work: Work, concurrency: number): Promise<void> {
    // By default, BullMQ gives up a job after its second stall. Ours are safe to run any number of times: never give up.
    const options = {
      concurrency,
      maxStalledCount: 1_000_000,
      autorun: false,
      runRetryDelay: CONNECT_AGAIN_MS,
      ...AFTER_A_CRASH,
    };
    const process = (job: Job) => work(job, this.#stop.signal);
    const worker = this.#redisUrl
      ? new Worker(name, process, {
          ...options,
          connection: { url: this.#redisUrl, maxRetriesPerRequest: null },
        })
      : new PostgresWorker(name, process, {
          ...options,
          connection: (this.#poolOfWorkers ??= this.#postgresPool(CONNECTIONS_OF_WORKERS)),
        });
    const failed = failures.of({ queue: name, kind: 'job' });
    worker.on('failed', (job, error) => {
      failed.value += 1;
      this.#logger.error(`Job ${job?.name} of ${name} failed: ${error.message}`);
    });
    this.#keep(worker as Worker);
    await worker.waitUntilReady();
    worker.run().catch((error: Error) => worker.emit('error', error));
  }

  /** Runs a job of this name at this interval, for as long as this process lives. */
  async schedule(queue: Queue, name: string, every: number): Promise<void> {
    const ask = () => queue.upsertJobScheduler(name, { every }, { name, opts: { removeOnComplete: true } });
    await ask();
    // Repeat the request, which changes nothing while the schedule exists: a Redis that lost its data has lost the
    // schedule too.
    const renew = () => void ask().catch((error: Error) => this.#logger.debug(`Queue ${queue.name}: ${error.message}`));
    this.#timers.push(setInterval(renew, RENEW_SCHEDULES_MS));
  }

  /**
   * The process does not start if PostgreSQL ends a first connection of BullMQ. BullMQ would not connect again: a queue
   * would reject all jobs, and a worker would ask again without a pause, and leave no time for anything else.
   */
  async onModuleInit(): Promise<void> {
    if (!this.#redisUrl) await Promise.all(this.#open.map((queue) => queue.waitUntilReady()));
  }

  /** Jobs in progress end first, while the resources that they use still exist. */
  async beforeApplicationShutdown(): Promise<void> {
    this.#stop.abort();
    for (const timer of this.#timers) clearInterval(timer);
    await closeAll(this.#open.filter((item) => item instanceof Worker));
  }

  async onApplicationShutdown(): Promise<void> {
    await closeAll(this.#open);
    await Promise.all([this.#poolOfQueues?.end(), this.#poolOfWorkers?.end()]);
  }

  /**
   * A pool of our own, because BullMQ listens for the errors of a connection only after it is open. A server that ends the
   * connection at that moment would end the process.
   */
  #postgresPool(max: number): pg.Pool {
    return survivingPool({
      connectionString: this.#databaseUrl,
      options: sessionOptions('keyledger_queue', { search_path: QUEUE_SCHEMA }),
      application_name: 'keyledger queue',
      keepAlive: true,
      max,
    });
  }

  #keep<T extends Queue | Worker>(item: T): T {
    // Without a listener, a connection error would end the process. BullMQ reconnects on its own.
    const failed = failures.of({ queue: item.name, kind: 'connection' });
    (item as EventEmitter).on('error', (error: Error) => {
      failed.value += 1;
      this.#logger.debug(`Queue ${item.name}: ${error.message}`);
    });
    this.#open.push(item);
    return item;
  }
}

async function closeAll(items: readonly (Queue | Worker)[]): Promise<void> {
  await Promise.all(items.map((item) => item.close()));
}
