import { infiniteQueryOptions, keepPreviousData } from '@tanstack/react-query';
import type { listProjects } from '#libs/contract/projects.js';
import type { RouteOutput } from '#libs/contract/route.js';
import { api } from '../session/session.js';
import { paged } from '../ui/pages.js';

export type Project = RouteOutput<typeof listProjects>['data'][number];

/** The common key of all lists of projects, with any search. */
export const PROJECTS = 'projects';

export const projectsQuery = (organizationId: string, search: string | undefined) =>
  infiniteQueryOptions({
    queryKey: [PROJECTS, organizationId, { search }],
    queryFn: ({ pageParam: cursor }) =>
      api.projects.list({ query: { organization_id: organizationId, search, limit: 50, cursor } }),
    ...paged,
    placeholderData: keepPreviousData,
    staleTime: 30_000,
  });
