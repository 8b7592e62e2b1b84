/** The environment of the tests has it. Scripts that are no tests load the built modules anyway. */
declare const importBuilt: ((module: string) => Promise<unknown>) | undefined;

/**
 * Returns a module as the deployment of `startDeployment` loads it. A test's own `import` loads another copy, whose
 * classes `api.get()` does not know. Example: `await builtModule<typeof
 * import('#libs/auth/passwords.js')>('#libs/auth/passwords.js')`
 * @param module as in an `import`: from `#libs`, from `apps`, or a package
 */
export const builtModule = <Module>(module: string) =>
  (typeof importBuilt === 'undefined' ? import(module) : importBuilt(module)) as Promise<Module>;
