declare const importBuilt: (module: string) => Promise<unknown>;

/**
 * A module as the deployment of `startDeployment` has it, which is not what `import` loads in a test: its classes are what
 * `api.get()` knows. `await builtModule<typeof import('#libs/auth/passwords.js')>('#libs/auth/passwords.js')`
 *
 * @param module as in an `import`: of `#libs`, of `apps`, or a package
 */
export const builtModule = <Module>(module: string) => importBuilt(module) as Promise<Module>;
