import { Controller, Get, HttpCode, Module, Post, type INestApplication } from '@nestjs/common';
import { NestFactory, type AbstractHttpAdapter } from '@nestjs/core';
import { ApiKey, Caller, KeyledgerModule, NoApiKey, type KeyledgerModuleOptions } from '#libs/nest/keyledger.module.js';

/** Handlers with their own declarations. */
@Controller('orders')
class OrdersController {
  @Get()
  @ApiKey({ scopes: ['triggers:read'] })
  list(@Caller() caller: Caller) {
    return { organization: caller.organization_id };
  }

  @Get('forgotten')
  forgotten() {
    return {};
  }

  @Get('health')
  @NoApiKey()
  health() {
    return { ok: true };
  }

  @Get('health/caller')
  @NoApiKey()
  callerOfNoKey(@Caller() caller: Caller) {
    return caller;
  }
}

/** A declaration of the controller, which handlers replace. */
@Controller('invoices')
@ApiKey({ scopes: ['triggers:write'] })
class InvoicesController {
  @Get()
  list(@Caller() caller: Caller) {
    return { organization: caller.organization_id };
  }

  @Post('print')
  @HttpCode(200)
  @ApiKey({ scopes: [], cost: 3 })
  print() {
    return {};
  }

  @Get('terms')
  @NoApiKey()
  terms() {
    return {};
  }
}

/** Asks for nothing, as a page of an application with sessions. */
@Controller()
class PagesController {
  @Get('page')
  page() {
    return {};
  }
}

/** An API with `GET /orders`, which responds with the organization of the key. */
export async function nestApi(
  adapter: AbstractHttpAdapter,
  options: KeyledgerModuleOptions,
): Promise<INestApplication> {
  const imports = [KeyledgerModule.forRootAsync({ useFactory: () => Promise.resolve(options) })];
  @Module({ imports, controllers: [OrdersController, InvoicesController, PagesController] })
  class AppModule {}
  return NestFactory.create(AppModule, adapter, { logger: false, abortOnError: false });
}
