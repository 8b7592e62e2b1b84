import { Injectable } from '@nestjs/common';
import type { EventActor } from '#libs/contract/events.js';
import { networkOf } from '#libs/contract/networks.js';
import { Config, type Settings } from './config.js';

/**
 * Removes personal data that a deployment does not want to record. Events and sessions, which outlive their request,
 * pass through here before they are stored. Decisions by address use the real address.
 */
@Injectable()
export class PersonalData {
  readonly #address: Settings['RECORD_CLIENT_ADDRESS'];
  readonly #userAgent: Settings['RECORD_USER_AGENT'];
  /** Whether to record people by name and e-mail address, and not by id alone. */
  readonly recordsNames: boolean;

  constructor({ settings }: Config) {
    this.#address = settings.RECORD_CLIENT_ADDRESS;
    this.#userAgent = settings.RECORD_USER_AGENT;
    this.recordsNames = settings.RECORD_ACTOR === 'name';
  }

  /** The origin of a request, as it is stored. */
  origin({ ip, userAgent }: { readonly ip: string | null; readonly userAgent: string | null }) {
    return { ip: recordedAddress(ip, this.#address), user_agent: recordedUserAgent(userAgent, this.#userAgent) };
  }

  /** The actor of an event, as it is stored. */
  actor({ type, id, ...called }: EventActor): EventActor {
    return { type, id, ...(this.recordsNames && called) };
  }
}

/** About the network of one customer of a provider, or a part of a city. */
export const NETWORK_BITS = { ipv4: 24, ipv6: 48 } as const;

/** @returns for `network`, the address of the network: `203.0.113.0/24`, `2001:db8:1::/48` */
export function recordedAddress(ip: string | null, mode: Settings['RECORD_CLIENT_ADDRESS']): string | null {
  if (ip === null || mode === 'none') return null;
  return mode === 'full' ? ip : networkOf(ip, NETWORK_BITS);
}

/** The order matters: a browser also names the browsers that it is compatible with. */
const BROWSERS: readonly (readonly [sign: RegExp, family: string])[] = [
  [/\bEdg(?:A|iOS)?\//, 'Edge'],
  [/\b(?:OPR|Opera)\//, 'Opera'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\b(?:Firefox|FxiOS)\//, 'Firefox'],
  [/\b(?:Chrome|CriOS|Chromium)\//, 'Chrome'],
  [/\bVersion\/[\d.]+ (?:Mobile\/\w+ )?Safari\//, 'Safari'],
];
/** A product as in `curl/8.5.0`. Letters and hyphens only: no address and no e-mail address has that form. */
const PRODUCT = /^([A-Za-z]+(?:-[A-Za-z]+){0,3})\/\d/;
const LONGEST_PRODUCT = 32;
/** Node's own client, which gives no version. */
const NODE = 'node';
const OTHER = 'other';

/** @returns for `family`, the name of the browser or program, without its version and everything after it */
export function recordedUserAgent(userAgent: string | null, mode: Settings['RECORD_USER_AGENT']): string | null {
  if (userAgent === null || mode === 'none') return null;
  if (mode === 'full') return userAgent;
  const browser = BROWSERS.find(([sign]) => sign.test(userAgent));
  if (browser) return browser[1];
  if (userAgent === NODE) return NODE;
  const product = PRODUCT.exec(userAgent)?.[1];
  return product !== undefined && product.length <= LONGEST_PRODUCT ? product : OTHER;
}
