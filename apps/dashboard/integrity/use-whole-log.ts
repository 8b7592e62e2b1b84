import { useQueryClient, type QueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { logRequests } from './log-requests.js';
import { latestQuery } from './queries.js';
import { rememberWhole } from './verify.js';
import { startHasher } from './whole-log-hasher.js';
import { WholeLogRun, type Progress } from './whole-log-run.js';
import { verifyWholeLog } from './whole-log.js';

export interface WholeLogVerification {
  /** Null if nothing is being verified. */
  readonly progress: Progress | null;
  readonly paused: boolean;
  /** Why the verification is not complete. */
  readonly error: unknown;
  readonly start: () => void;
  readonly pause: () => void;
  readonly resume: () => void;
  readonly cancel: () => void;
}

const SHOW_EVERY_MS = 200;

/** Verifies the whole log on demand. It ends with the page. */
export function useWholeLog(organizationId: string): WholeLogVerification {
  const queryClient = useQueryClient();
  const [progress, setProgress] = useState<Progress | null>(null);
  const [paused, setPaused] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const running = useRef<WholeLogRun>(null);
  useEffect(() => () => running.current?.cancel(), []);

  const run = async (current: WholeLogRun) => {
    const showing = setInterval(() => setProgress(current.progress()), SHOW_EVERY_MS);
    try {
      await verifyAndRemember(organizationId, queryClient, current);
    } catch (reason) {
      if (!current.signal.aborted) setError(reason);
    }
    clearInterval(showing);
    // Ends the thread.
    current.cancel();
    if (running.current === current) setProgress(null);
  };

  return {
    progress,
    paused,
    error,
    start: () => {
      running.current?.cancel();
      running.current = new WholeLogRun();
      setError(null);
      setPaused(false);
      setProgress(running.current.progress());
      void run(running.current);
    },
    pause: () => {
      running.current?.pause();
      setPaused(true);
    },
    resume: () => {
      running.current?.resume();
      setPaused(false);
    },
    cancel: () => running.current?.cancel(),
  };
}

async function verifyAndRemember(organizationId: string, queryClient: QueryClient, run: WholeLogRun): Promise<void> {
  const { signal } = run;
  const { checkpoint } = await queryClient.fetchQuery({ ...latestQuery(organizationId), staleTime: 0 });
  const log = logRequests(organizationId, signal);
  const prunedBelow = await log.prunedBelow();
  const fault = await verifyWholeLog({
    tree: checkpoint,
    tile: log.tile,
    prunedBelow,
    startHasher: (tree) => startHasher(tree, signal),
    turn: () => run.turn(),
    onNext: (next, locating) => run.advance(next, checkpoint.size, locating),
    signal,
  });
  rememberWhole(organizationId, {
    at: new Date().toISOString(),
    size: checkpoint.size,
    ...(prunedBelow > 0 && { pruned_below: prunedBelow }),
    ...(fault && foundBy(fault)),
  });
}

function foundBy({ fault, leafIndex }: { readonly fault: string; readonly leafIndex?: number }) {
  return { fault, ...(leafIndex !== undefined && { leaf_index: leafIndex }) };
}
