import { Injectable } from '@nestjs/common';
import {
  applicationAuthority,
  builtInScopes,
  commonScopes,
  isDeploymentScope,
  missingScopes,
  unknownScopes,
  type BuiltInScope,
} from '#libs/contract/scopes.js';
import { Config } from '#libs/platform/config.js';
import { invalidInput } from '#libs/platform/errors.js';

/** The scopes of this deployment: the built-in ones and those of its application. */
@Injectable()
export class RegisteredScopes {
  readonly all: readonly string[];
  /** Everything that the application scopes cover, wildcards included. */
  readonly application: readonly string[];

  constructor(config: Config) {
    this.application = applicationAuthority(config.settings.APP_SCOPES);
    this.all = [...new Set([...Object.keys(builtInScopes), ...config.settings.APP_SCOPES])];
  }

  describe() {
    return this.all.map((scope) => {
      const description = Object.hasOwn(builtInScopes, scope) ? builtInScopes[scope as BuiltInScope] : null;
      return { scope, kind: description ? ('management' as const) : ('application' as const), description };
    });
  }

  /**
   * The scopes that a caller with the `granted` scopes may grant: all, or those of the application. They are listed by
   * name, not by wildcard, so that a key of today does not get scopes that are registered later. Scopes that reach
   * beyond the organization are left out: a caller must name them.
   */
  within(
    granted: readonly string[],
    ceiling: readonly string[] | null | undefined,
    kind: 'all' | 'application',
  ): string[] {
    return this.all.filter(
      (scope) =>
        !isDeploymentScope(scope) &&
        (kind === 'all' || this.application.includes(scope)) &&
        missingScopes(granted, [scope]).length === 0 &&
        (!ceiling || missingScopes(ceiling, [scope]).length === 0),
    );
  }

  /**
   * @param location where the list is in the request
   * @throws DomainError that names every unregistered scope
   */
  refuseUnknown(location: string, scopes: readonly string[]): void {
    const unknown = unknownScopes(scopes, this.all);
    if (unknown.length === 0) return;
    throw invalidInput(
      ...unknown.map((scope) => ({
        location: `${location}[${scopes.indexOf(scope)}]`,
        message: `${scope} is not a scope of this deployment; it has ${this.all.join(', ')}. Those of your API come from the setting APP_SCOPES`,
      })),
    );
  }

  /** @throws DomainError that names every scope that the public key of such a key cannot have */
  refuseBadPublicScopes(scopes: readonly string[], publicScopes: readonly string[] | null | undefined): void {
    const possible = commonScopes(scopes, this.application);
    const excess = missingScopes(possible, publicScopes ?? []);
    if (excess.length === 0) return;
    throw invalidInput({
      location: 'body.public_scopes',
      message: `must be application scopes of the key: not ${excess.join(', ')}`,
    });
  }
}
