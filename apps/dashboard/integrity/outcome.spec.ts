import { describe, expect, it } from '@jest/globals';
import { ApiError } from '#libs/client/client.js';
import type { Problem } from '#libs/contract/problem.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import { logStateOf, reasonOf } from './outcome.js';
import type { Remembered } from './remembered.js';

const problem = (status: number, code: string) => new ApiError({ status, code } as Problem, new Headers());
const at = '2026-03-01T12:00:00.000Z';
const good: Remembered = {
  checkpoint: 'note',
  origin: 'example.com/log',
  size: 5,
  root: 'AAAA',
  vkey: 'key',
  verified_at: at,
};
const alarmed = { ...good, alarm: { at, detail: 'Forked', checkpoint: 'other' } };
const wrongEntry = { ...good, whole: { at, size: 5, fault: 'Changed' } };
const done = { error: null, isPending: false };
const wrong = { error: new ProofError('wrong'), isPending: false };

describe('an error of a verification', () => {
  it.each([
    ['wrong', new ProofError('wrong')],
    ['unavailable', problem(503, 'checkpoint_unavailable')],
    ['failed', problem(503, 'database_unavailable')],
    ['failed', problem(500, 'audit_log_damaged')],
    ['not-yet', problem(404, 'not_found')],
    ['not-kept', problem(410, 'audit_log_pruned')],
    ['forbidden', problem(403, 'insufficient_scope')],
    ['failed', new TypeError('a mistake in the page')],
  ])('means %s: only what contradicts itself is called tampering', (reason, error) => {
    expect(reasonOf(error)).toBe(reason);
  });
});

describe('the state of a log', () => {
  it('stays red after an alarm, also if the next checkpoint would be right', () => {
    expect(logStateOf(alarmed, done).state).toBe('alarm');
    expect(logStateOf({ ...alarmed, whole: { at, size: 5 } }, wrong).state).toBe('alarm');
  });

  it('stays red after a wrong entry was found, also if the latest checkpoint is right', () => {
    expect(logStateOf(wrongEntry, done).state).toBe('wrong-entry');
    expect(logStateOf(wrongEntry, { error: problem(503, 'checkpoint_unavailable'), isPending: false }).state).toBe(
      'wrong-entry',
    );
  });

  it('is red if what the browser remembers cannot be read', () => {
    expect(logStateOf(new ProofError('unreadable'), done).state).toBe('unreadable');
  });

  it('is red if the first checkpoint is wrong', () => {
    expect(logStateOf(null, wrong).state).toBe('wrong');
  });

  it('is never called verified while the latest checkpoint is not', () => {
    expect(logStateOf(good, { error: null, isPending: true }).state).toBe('verifying');
    expect(logStateOf(good, { error: problem(503, 'checkpoint_unavailable'), isPending: false }).state).toBe(
      'unavailable',
    );
    expect(logStateOf(good, { error: problem(500, 'internal_error'), isPending: false }).state).toBe('failed');
  });

  it('is verified otherwise', () => {
    expect(logStateOf(good, done).state).toBe('verified');
    expect(logStateOf({ ...good, whole: { at, size: 5 } }, done).state).toBe('verified');
  });
});
