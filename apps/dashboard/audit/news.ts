import type { AuditEvent } from '#libs/contract/audit.js';

/** Events that the tail has returned since the list was loaded. */
export interface News {
  /** Events in the list, newest first. */
  readonly shown: readonly AuditEvent[];
  /** Events held back while the user reads further down, newest first. */
  readonly held: readonly AuditEvent[];
  /** More events arrived than are kept: only a reload of the list shows all of them. */
  readonly overflowed: boolean;
}

export const noNews: News = { shown: [], held: [], overflowed: false };

const MOST = 1000;

/** @param received oldest first, in the order of the tail */
export function withReceived(news: News, received: readonly AuditEvent[], reading: boolean): News {
  const last = news.held[0] ?? news.shown[0];
  const fresh = received.filter(({ leaf_index }) => leaf_index > (last?.leaf_index ?? -1)).toReversed();
  const shown = reading ? news.shown : [...fresh, ...news.held, ...news.shown];
  const held = reading ? [...fresh, ...news.held] : [];
  if (shown.length + held.length <= MOST) return { ...news, shown, held };
  return { shown: news.shown, held: held.slice(0, MOST), overflowed: true };
}

export function released({ shown, held, overflowed }: News): News {
  return { shown: [...held, ...shown], held: [], overflowed };
}
