import type { AuditEvent } from '#libs/contract/audit.js';

/** What the tail has told since the list was read. */
export interface News {
  /** In the list, the newest first. */
  readonly shown: readonly AuditEvent[];
  /** Waiting while somebody reads further down, the newest first. */
  readonly held: readonly AuditEvent[];
  /** More than is kept: only reading the list again shows all. */
  readonly overflowed: boolean;
}

export const noNews: News = { shown: [], held: [], overflowed: false };

const MOST = 1000;

/** @param told the oldest first, as the tail tells it */
export function withTold(news: News, told: readonly AuditEvent[], reading: boolean): News {
  const last = news.held[0] ?? news.shown[0];
  const fresh = told.filter(({ leaf_index }) => leaf_index > (last?.leaf_index ?? -1)).toReversed();
  const shown = reading ? news.shown : [...fresh, ...news.held, ...news.shown];
  const held = reading ? [...fresh, ...news.held] : [];
  if (shown.length + held.length <= MOST) return { ...news, shown, held };
  return { shown: news.shown, held: held.slice(0, MOST), overflowed: true };
}

export function released({ shown, held, overflowed }: News): News {
  return { shown: [...held, ...shown], held: [], overflowed };
}
