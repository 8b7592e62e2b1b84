import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { JwtService } from '@nestjs/jwt';
import { PassportModule } from '@nestjs/passport';
import { Clock } from '#libs/platform/clock.js';
import { AccessGuard } from './access.guard.js';
import { AccountsService } from './accounts.service.js';
import { AccountRate } from './account-rate.js';
import { AccessTokens, EdDsaJwtService, SigningKeys } from './access-tokens.js';
import { LoginDelay } from './login-delay.js';
import { PasswordResetsService } from './password-resets.service.js';
import { Passwords } from './passwords.js';
import { RefreshCookie } from './refresh-cookie.js';
import { SessionsController } from './sessions.controller.js';
import { SessionsService } from './sessions.service.js';
import { ApiKeyStrategy, BearerStrategy } from './strategies.js';
import { UnknownSignIns } from './unknown-sign-ins.js';

/** Needs a `CredentialVerifier`, which the app binds. */
@Module({
  imports: [PassportModule],
  controllers: [SessionsController],
  providers: [
    SigningKeys,
    {
      provide: JwtService,
      inject: [SigningKeys, Clock],
      useFactory: (keys: SigningKeys, clock: Clock) => new EdDsaJwtService(keys, clock),
    },
    AccessTokens,
    AccountRate,
    AccountsService,
    Passwords,
    LoginDelay,
    SessionsService,
    UnknownSignIns,
    PasswordResetsService,
    RefreshCookie,
    ApiKeyStrategy,
    BearerStrategy,
    { provide: APP_GUARD, useClass: AccessGuard },
  ],
  exports: [AccountRate, Passwords, PasswordResetsService, SessionsService],
})
export class AuthModule {}
