// What the package @keyledger/nest exports.
import { ConfigurableModuleBuilder, Global, Logger, Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD } from '@nestjs/core';
import { createVerifier, type Verifier, type VerifierOptions } from '#libs/verify/verifier.js';
import { KEYLEDGER_VERIFIER, UNDECLARED_ROUTES, UndeclaredRouteGuard } from './guards.js';
import { ApiKeyRejectedFilter } from './rejections.js';

export { ApiKey, Caller, NoApiKey } from './decorators.js';
export { KEYLEDGER_VERIFIER } from './guards.js';
export { ApiKeyRejected } from './rejections.js';

/** Options of `KeyledgerModule`: those of `createVerifier`, and what happens to routes without a declaration. */
export interface KeyledgerModuleOptions extends VerifierOptions {
  /**
   * What happens to a request whose handler has neither `@ApiKey()` nor `@NoApiKey()`. By default it is refused with 403.
   * `pass` is for an application that protects its other routes in another way.
   */
  readonly undeclaredRoutes?: 'refuse' | 'pass';
}

const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } = new ConfigurableModuleBuilder<KeyledgerModuleOptions>()
  .setClassMethodName('forRoot')
  .build();

/**
 * Import it once, in the root module: `KeyledgerModule.forRoot({ baseUrl, apiKey })`, or `forRootAsync` with a factory.
 * A failed verification is logged by Nest's logger unless `onUnavailable` is given.
 */
@Global()
@Module({
  providers: [
    { provide: KEYLEDGER_VERIFIER, inject: [MODULE_OPTIONS_TOKEN], useFactory: verifierOf },
    { provide: UNDECLARED_ROUTES, inject: [MODULE_OPTIONS_TOKEN], useFactory: undeclaredRoutesOf },
    { provide: APP_GUARD, useClass: UndeclaredRouteGuard },
    { provide: APP_FILTER, useClass: ApiKeyRejectedFilter },
  ],
  exports: [KEYLEDGER_VERIFIER],
})
export class KeyledgerModule extends ConfigurableModuleClass {}

function verifierOf({ undeclaredRoutes: _, ...options }: KeyledgerModuleOptions): Verifier {
  const logger = new Logger(KeyledgerModule.name);
  return createVerifier({ onUnavailable: ({ message }) => logger.error(message), ...options });
}

function undeclaredRoutesOf({ undeclaredRoutes = 'refuse' }: KeyledgerModuleOptions): 'refuse' | 'pass' {
  if (['refuse', 'pass'].includes(undeclaredRoutes)) return undeclaredRoutes;
  throw new TypeError("undeclaredRoutes must be 'refuse' or 'pass'.");
}
