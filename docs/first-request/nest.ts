// npm install @nestjs/common @nestjs/core @nestjs/platform-fastify reflect-metadata rxjs
// Start it as you start your Nest application, with KEYLEDGER_SERVICE_KEY=sk_… in its environment.
import { Controller, Get, HttpException, Injectable, Module, Req, UseGuards } from '@nestjs/common';
import { NestFactory, Reflector } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';

const KEYLEDGER = 'http://127.0.0.1:3000';

const RequireScope = Reflector.createDecorator<string>();

/** Lets a request pass if Keyledger accepts its key for the scope. Keyledger records the use before it responds. */
@Injectable()
class KeyledgerGuard {
  async canActivate(context: any): Promise<boolean> {
    const scope = new Reflector().get(RequireScope, context.getHandler());
    const request = context.switchToHttp().getRequest();
    const key = request.headers['x-api-key'];
    if (!scope) throw rejection(403, 'no_scope_declared');
    if (!key || key.length > 500) throw rejection(401, key ? 'invalid_key' : 'unauthenticated');
    const { valid, code, api_key } = await verify(key, scope, request);
    if (!valid) throw rejection(statusOf(code), code);
    request.apiKey = api_key; // whose key it is: api_key.organization_id, api_key.id, …
    return true;
  }
}

async function verify(key: string, scope: string, { method, url, ip, headers }: any): Promise<any> {
  const path = url.split('?', 1)[0].slice(0, 2000);
  const user_agent = headers['user-agent']?.slice(0, 500);
  try {
    const response = await fetch(`${KEYLEDGER}/api/v1/api-keys/verify`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-API-Key': process.env['KEYLEDGER_SERVICE_KEY']! },
      body: JSON.stringify({ key, scopes: [scope], request: { method, path, ip, user_agent } }),
      signal: AbortSignal.timeout(5000),
    });
    if (response.ok) return await response.json();
  } catch {
    // Handled below: without a decision no request passes.
  }
  throw rejection(503, 'verification_unavailable');
}

function statusOf(code: string): number {
  if (['invalid_key', 'revoked', 'expired', 'disabled'].includes(code)) return 401;
  return { insufficient_credits: 402, rate_limited: 429 }[code] ?? 403;
}

function rejection(status: number, code: string): HttpException {
  return new HttpException({ status, code }, status);
}

@Controller()
@UseGuards(KeyledgerGuard)
class HelloController {
  @Get()
  @RequireScope('triggers:read')
  hello(@Req() request: any) {
    return { hello: request.apiKey.organization_id };
  }
}

@Module({ controllers: [HelloController] })
class AppModule {}

const app = await NestFactory.create(AppModule, new FastifyAdapter(), { logger: ['error'] });
await app.listen(process.env['PORT'] ?? 8080, '127.0.0.1');
