import { describe, expect, it } from '@jest/globals';
import { decideRefresh } from './session.js';

const now = new Date('2026-11-20T12:00:00Z');
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1000);
const live = { expiresAt: new Date(now.getTime() + 1) };

describe('a refresh token', () => {
  it('rotates on its first use', () => {
    expect(decideRefresh({ usedAt: null }, live, now)).toBe('rotate');
  });

  it.each([
    [0, 'repeat'],
    [10, 'repeat'],
    [10.001, 'reused'],
    [86_400, 'reused'],
  ])('presented again after %d seconds: %s', (seconds, decision) => {
    expect(decideRefresh({ usedAt: ago(seconds) }, live, now)).toBe(decision);
  });

  it.each([
    ['ended', { ...live, endedAt: ago(1) }],
    ['expired', { expiresAt: now }],
  ])('of a session that has %s is dead, used or not', (_, session) => {
    expect(decideRefresh({ usedAt: null }, session, now)).toBe('dead');
    expect(decideRefresh({ usedAt: ago(1) }, session, now)).toBe('dead');
  });
});
