import { TestEnvironment } from 'jest-environment-node';

/**
 * Jest loads every module again for every test file: 4 s for an API with its libraries. The modules of `builtModule`
 * are loaded here, outside of Jest's registry: the built product, once for each of Jest's worker processes.
 */
export default class extends TestEnvironment {
  async setup() {
    await super.setup();
    this.global.importBuilt = (module) => import(module.replace(/^(\.\.\/)+apps\//, '../../dist/apps/'));
  }
}
