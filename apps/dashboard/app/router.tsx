import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router';
import { z } from 'zod';
import { apiKeySearch, apiKeysSearch } from '../api-keys/api-keys-search.js';
import { AuditSearch } from '../audit/audit-search.js';
import { Questions } from '../operators/question-search.js';
import { meQuery } from '../session/me.js';
import { loadPart } from '../session/load-part.js';
import { isSignedOut, SignedOut } from '../session/session.js';
import { StartSearch } from '../start/start-search.js';
import { UsageSearch } from '../usage/usage-search.js';
import { PageSkeleton } from '../ui/page-skeleton.js';
import { noSearch } from '../ui/search-values.js';
import { queryClient } from './query-client.js';

/** The component of a route, which waits for the server if it cannot be loaded. */
const page: typeof lazyRouteComponent = (load, name) => lazyRouteComponent(() => loadPart(load), name);

/** The search text of a list. */
const searchText = apiKeysSearch.shape.search;

/** Preloaded, because the page may be needed when nothing can be fetched. */
const errorPage = page(() => import('./error-page.js'), 'ErrorPage');
void errorPage.preload?.();
const NotFoundPage = page(() => import('./not-found-page.js'), 'NotFoundPage');

const root = createRootRoute({
  component: Outlet,
  // Rendered outside the shell, which has a `main` element of its own.
  notFoundComponent: () => (
    <main>
      <NotFoundPage />
    </main>
  ),
});

/** Where to continue after signing in. Only our own addresses are allowed, because anyone can write the link. */
function nextOf({ next }: Record<string, unknown>): { next?: string } {
  const isOurs = typeof next === 'string' && /^\/(?![/\\])/.test(next);
  // If the field were missing, the router would keep the address's value.
  return { next: isOurs ? next : undefined };
}

async function isSignedIn(): Promise<boolean> {
  if (isSignedOut()) return false;
  try {
    await queryClient.ensureQueryData(meQuery);
    return true;
  } catch (error) {
    if (error instanceof SignedOut) return false;
    throw error;
  }
}

/** A sign-in changes the session. The router then runs this check again and leaves the page. */
async function leadOnIfSignedIn({ search }: { search: { next?: string } }): Promise<void> {
  if (await isSignedIn()) throw redirect({ href: search.next ?? '/', replace: true });
}

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: nextOf,
  beforeLoad: leadOnIfSignedIn,
  component: page(() => import('../sign-in/sign-in-page.js'), 'SignInPage'),
});

const register = createRoute({
  getParentRoute: () => root,
  path: '/register',
  validateSearch: nextOf,
  beforeLoad: leadOnIfSignedIn,
  component: page(() => import('../sign-in/register-page.js'), 'RegisterPage'),
});

const invitation = createRoute({
  getParentRoute: () => root,
  path: '/invitation',
  component: page(() => import('../sign-in/invitation-page.js'), 'InvitationPage'),
});

const passwordReset = createRoute({
  getParentRoute: () => root,
  path: '/password-reset',
  component: page(() => import('../sign-in/password-reset-page.js'), 'PasswordResetPage'),
});

/** The shell contains all pages that need a signed-in user. */
const shell = createRoute({
  getParentRoute: () => root,
  id: 'shell',
  beforeLoad: async ({ location }) => {
    // An ended session is continued in place, unless there is no place yet.
    if (!(await isSignedIn())) throw redirect({ to: '/sign-in', search: nextOf({ next: location.href }) });
  },
  component: page(() => import('./shell.js'), 'Shell'),
});

const home = createRoute({
  getParentRoute: () => shell,
  path: '/',
  validateSearch: noSearch,
  component: page(() => import('../organization/home-page.js'), 'HomePage'),
});

const account = createRoute({
  getParentRoute: () => shell,
  path: '/account',
  validateSearch: noSearch,
  component: page(() => import('../account/account-page.js'), 'AccountPage'),
});

const organization = createRoute({
  getParentRoute: () => shell,
  path: '/org/$organizationId',
  component: page(() => import('../organization/organization-frame.js'), 'OrganizationFrame'),
});

const organizationPages = [
  createRoute({
    getParentRoute: () => organization,
    path: '/start',
    validateSearch: StartSearch,
    component: page(() => import('../start/start-page.js'), 'StartPage'),
  }),
  createRoute({
    getParentRoute: () => organization,
    path: '/settings/api-keys',
    validateSearch: apiKeysSearch,
    component: page(() => import('../api-keys/api-keys-page.js'), 'ApiKeysPage'),
  }),
  createRoute({
    getParentRoute: () => organization,
    path: '/settings/api-keys/$keyId',
    validateSearch: apiKeySearch,
    component: page(() => import('../api-keys/api-key-page.js'), 'ApiKeyPage'),
  }),
  createRoute({
    getParentRoute: () => organization,
    path: '/projects',
    validateSearch: z.strictObject({ search: searchText }),
    component: page(() => import('../projects/projects-page.js'), 'ProjectsPage'),
  }),
  createRoute({
    getParentRoute: () => organization,
    path: '/projects/$projectId/api-keys',
    validateSearch: apiKeysSearch,
    component: page(() => import('../projects/project-page.js'), 'ProjectPage'),
  }),
  createRoute({
    getParentRoute: () => organization,
    path: '/audit',
    validateSearch: AuditSearch,
    component: page(() => import('../audit/audit-page.js'), 'AuditPage'),
  }),
  createRoute({
    getParentRoute: () => organization,
    path: '/audit/by/$id',
    validateSearch: AuditSearch,
    component: page(() => import('../audit/activity-page.js'), 'ActivityByPage'),
  }),
  createRoute({
    getParentRoute: () => organization,
    path: '/audit/about/$id',
    validateSearch: AuditSearch,
    component: page(() => import('../audit/activity-page.js'), 'ActivityAboutPage'),
  }),
  createRoute({
    getParentRoute: () => organization,
    path: '/audit/from/$address',
    validateSearch: AuditSearch,
    component: page(() => import('../audit/activity-page.js'), 'ActivityFromPage'),
  }),
  createRoute({
    getParentRoute: () => organization,
    path: '/audit/report',
    validateSearch: AuditSearch,
    component: page(() => import('../audit/report-page.js'), 'ReportPage'),
  }),
  createRoute({
    getParentRoute: () => organization,
    path: '/integrity',
    validateSearch: noSearch,
    component: page(() => import('../integrity/integrity-page.js'), 'IntegrityPage'),
  }),
  createRoute({
    getParentRoute: () => organization,
    path: '/usage',
    validateSearch: UsageSearch,
    component: page(() => import('../usage/usage-page.js'), 'UsagePage'),
  }),
  createRoute({
    getParentRoute: () => organization,
    path: '/settings/key-policy',
    validateSearch: noSearch,
    component: page(() => import('../organization/key-policy-page.js'), 'KeyPolicyPage'),
  }),
  createRoute({
    getParentRoute: () => organization,
    path: '/settings/members',
    validateSearch: noSearch,
    component: page(() => import('../members/members-page.js'), 'MembersPage'),
  }),
  createRoute({
    getParentRoute: () => organization,
    path: '/settings',
    validateSearch: noSearch,
    component: page(() => import('../organization/settings-page.js'), 'SettingsPage'),
  }),
] as const;

const operator = createRoute({
  getParentRoute: () => shell,
  path: '/operator',
  component: page(() => import('../operators/operator-frame.js'), 'OperatorFrame'),
});

const operatorPages = [
  createRoute({
    getParentRoute: () => operator,
    path: '/organizations',
    validateSearch: z.strictObject({
      search: searchText,
      status: z.enum(['active', 'suspended']).optional(),
    }),
    component: page(() => import('../operators/organizations-page.js'), 'OrganizationsPage'),
  }),
  createRoute({
    getParentRoute: () => operator,
    path: '/organizations/$organizationId',
    validateSearch: noSearch,
    component: page(() => import('../operators/organization-page.js'), 'OrganizationPage'),
  }),
  createRoute({
    getParentRoute: () => operator,
    path: '/operators',
    validateSearch: noSearch,
    component: page(() => import('../operators/operators-page.js'), 'OperatorsPage'),
  }),
  createRoute({
    getParentRoute: () => operator,
    path: '/service-keys',
    validateSearch: noSearch,
    component: page(() => import('../operators/service-keys-page.js'), 'ServiceKeysPage'),
  }),
  createRoute({
    getParentRoute: () => operator,
    path: '/audit',
    validateSearch: Questions,
    component: page(() => import('../operators/audit-search-page.js'), 'AuditSearchPage'),
  }),
] as const;

export const router = createRouter({
  routeTree: root.addChildren([
    signIn,
    register,
    invitation,
    passwordReset,
    shell.addChildren([
      home,
      account,
      organization.addChildren([...organizationPages]),
      operator.addChildren([...operatorPages]),
    ]),
  ]),
  defaultPreload: 'intent',
  scrollRestoration: true,
  defaultPendingComponent: PageSkeleton,
  defaultErrorComponent: errorPage,
  defaultNotFoundComponent: NotFoundPage,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}

// After a change of page, the focus moves to the new heading. The first page of a visit keeps its focus.
router.subscribe('onRendered', ({ fromLocation, pathChanged }) => {
  if (fromLocation && pathChanged) document.querySelector<HTMLElement>('h1')?.focus();
});
