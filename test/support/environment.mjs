import { TestEnvironment } from 'jest-environment-node';

/**
 * Jest loads every module anew for every test file: 4 s for an API with its libraries. What `builtModule` asks for is
 * loaded here, outside of that: the built product, once for each worker process of Jest.
 */
export default class extends TestEnvironment {
  async setup() {
    await super.setup();
    this.global.importBuilt = (module) => import(module.replace(/^(\.\.\/)+apps\//, '../../dist/apps/'));
  }
}
