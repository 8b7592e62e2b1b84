import { Module } from '@nestjs/common';
import { AllowedOrigins } from './allowed-origins.js';
import { ApiKeyCredentials } from './api-key-credentials.js';
import { ApiKeyRecords } from './api-key-records.js';
import { ApiKeyVerifier } from './api-key-verifier.js';
import { CallingKeys } from './calling-keys.js';
import { Cors } from './cors.js';
import { Denials } from './denials.js';
import { ImportedTokens } from './imported-tokens.js';
import { KeyLookup } from './key-lookup.js';
import { Uses } from './uses.js';
import { PublicKeyRate } from './public-key-rate.js';
import { Secrets } from './secrets.js';

/** Separate from the rest of `api-keys`: the guard depends on this module, and the rest depends on the guard. */
@Module({
  providers: [
    AllowedOrigins,
    ApiKeyCredentials,
    ApiKeyRecords,
    ApiKeyVerifier,
    CallingKeys,
    Cors,
    Denials,
    ImportedTokens,
    KeyLookup,
    Uses,
    PublicKeyRate,
    Secrets,
  ],
  exports: [ApiKeyCredentials, ApiKeyVerifier, ImportedTokens, KeyLookup, Secrets],
})
export class VerificationModule {}
