import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';

// Nest on Fastify with default settings. The decorators are applied by hand: Node strips types but not decorators.
class HelloController {
  hello() {
    return { hello: 'world' };
  }
}
Controller()(HelloController);
Get()(HelloController.prototype, 'hello', Object.getOwnPropertyDescriptor(HelloController.prototype, 'hello')!);

// oxlint-disable-next-line typescript/no-extraneous-class -- what the rule lets pass is the decorator
class HelloModule {}
Module({ controllers: [HelloController] })(HelloModule);

const app = await NestFactory.create(HelloModule, new FastifyAdapter(), { logger: false });
await app.listen(0, '127.0.0.1');
process.send?.({ type: 'ready', url: await app.getUrl() });
process.on('disconnect', () => process.exit());
