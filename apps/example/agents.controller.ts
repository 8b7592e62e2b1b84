import { Controller, Get } from '@nestjs/common';
import { CallerKey, RequireScope } from './keyledger.guard.js';

const agents = [
  { id: 'agent_1', name: 'Price watcher' },
  { id: 'agent_2', name: 'Settlement clerk' },
];

@Controller('api/v1/agents')
export class AgentsController {
  @Get()
  @RequireScope('agents:read')
  list(@CallerKey() { organization_id, project_id }: CallerKey) {
    return { organization_id, project_id, data: agents };
  }
}
