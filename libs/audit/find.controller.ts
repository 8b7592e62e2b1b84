import { Controller } from '@nestjs/common';
import { Caller, type CallerOf } from '#libs/auth/principal.js';
import { find } from '#libs/contract/find.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { Finder } from './finder.js';

@Controller()
export class FindController {
  constructor(private readonly finder: Finder) {}

  @Implements(find)
  find(
    @Input() { body }: RouteInput<typeof find>,
    @Caller() caller: CallerOf<typeof find>,
  ): Promise<RouteOutput<typeof find>> {
    return this.finder.find(caller, body.text);
  }
}
