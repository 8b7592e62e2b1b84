import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import vm from 'node:vm';
import argon2 from 'argon2';
import { TestEnvironment } from 'jest-environment-node';

const { hash } = argon2;

/**
 * Jest loads every module again for every test file: 4 s for an API with its libraries. The modules of `builtModule`
 * are loaded here, outside of Jest's registry: the built product, once for each of Jest's worker processes.
 *
 * In these modules Argon2id hashes with 1 MiB of memory instead of 19, in 2 ms instead of 50. Each account takes two hashes
 * and each key one. Files that test the real cost begin with `@jest-environment-options {"argon2id": "real"}`.
 *
 * All APIs rate passwords in one thread: loading its dictionaries takes 170 ms.
 */
export default class extends withPlainGlobals(TestEnvironment) {
  constructor(config, context) {
    super(config, context);
    const real = config.projectConfig.testEnvironmentOptions.argon2id === 'real';
    argon2.hash = real ? hash : (text, options) => hash(text, { ...options, memoryCost: 1024 });
  }

  async setup() {
    await super.setup();
    this.global.importBuilt = async (module) => {
      await (oneThread ??= ratePasswordsInOneThread());
      return import(builtFile(module));
    };
  }
}

/** Packages as the build has bundled them. */
const { resolve } = createRequire(new URL('../../dist/index.js', import.meta.url));

function builtFile(module) {
  if (/^[@a-z]/.test(module)) return pathToFileURL(resolve(module)).href;
  return module.replace(/^(\.\.\/)+apps\//, '../../dist/apps/');
}

let oneThread;

async function ratePasswordsInOneThread() {
  const { PasswordStrength } = await import('../../dist/libs/auth/password-strength.js');
  const shared = new PasswordStrength();
  PasswordStrength.prototype.score = shared.score.bind(shared);
}

/**
 * Jest makes the global object of a test file a proxy, and each access to `Math`, `Buffer` or `Number` takes 400 ns. That of
 * a plain context is an ordinary object, which takes less than 10.
 */
function withPlainGlobals(Environment) {
  return class extends Environment {
    constructor(...args) {
      const { createContext } = vm;
      vm.createContext = () => createContext(vm.constants.DONT_CONTEXTIFY);
      try {
        super(...args);
      } finally {
        vm.createContext = createContext;
      }
    }
  };
}
