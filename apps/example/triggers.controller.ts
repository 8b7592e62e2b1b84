import { Body, Controller, Get, Post } from '@nestjs/common';
import { z } from 'zod';
import { ApiKey, Caller } from '#libs/nest/keyledger.module.js';

const NewTrigger = z.strictObject({ name: z.string().min(1).max(100), event: z.string().min(1).max(100) });

interface Trigger extends z.infer<typeof NewTrigger> {
  readonly id: string;
}

const samples: readonly Trigger[] = [
  { id: 'trigger_1', name: 'Large transfer', event: 'transfer.completed' },
  { id: 'trigger_2', name: 'New agent', event: 'agent.registered' },
];

/** Shows a caller only the triggers of the organization that owns its key. */
@Controller('api/v1/triggers')
export class TriggersController {
  readonly #created = new Map<string, Trigger[]>();

  @Get()
  @ApiKey({ scopes: ['triggers:read'] })
  list(@Caller() { organization_id }: Caller) {
    return { organization_id, data: [...samples, ...this.#of(organization_id)] };
  }

  @Post()
  @ApiKey({ scopes: ['triggers:write'] })
  create(@Caller() { organization_id }: Caller, @Body({ schema: NewTrigger }) body: z.infer<typeof NewTrigger>) {
    const own = this.#of(organization_id);
    const trigger = { id: `trigger_${samples.length + own.length + 1}`, ...body };
    this.#created.set(organization_id, [...own, trigger]);
    return { organization_id, ...trigger };
  }

  #of(organizationId: string): readonly Trigger[] {
    return this.#created.get(organizationId) ?? [];
  }
}
