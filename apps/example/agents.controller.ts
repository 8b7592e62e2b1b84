import { Controller, Get } from '@nestjs/common';
import { ApiKey, Caller } from '#libs/nest/keyledger.module.js';

const agents = [
  { id: 'agent_1', name: 'Price watcher' },
  { id: 'agent_2', name: 'Settlement clerk' },
];

@Controller('api/v1/agents')
export class AgentsController {
  @Get()
  @ApiKey({ scopes: ['agents:read'] })
  list(@Caller() { organization_id, project_id }: Caller) {
    return { organization_id, project_id, data: agents };
  }
}
