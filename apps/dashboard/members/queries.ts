import { infiniteQueryOptions } from '@tanstack/react-query';
import type { RouteOutput } from '#libs/contract/route.js';
import type { listInvitations, listMembers } from '#libs/contract/members.js';
import { api } from '../session/session.js';
import { paged } from '../ui/pages.js';

export type Member = RouteOutput<typeof listMembers>['data'][number];
export type OpenInvitation = RouteOutput<typeof listInvitations>['data'][number];

export const membersQuery = (id: string) =>
  infiniteQueryOptions({
    queryKey: ['members', id],
    queryFn: ({ pageParam: cursor }) => api.members.list({ params: { id }, query: { limit: 100, cursor } }),
    ...paged,
    staleTime: 30_000,
  });

export const invitationsQuery = (id: string) =>
  infiniteQueryOptions({
    queryKey: ['invitations', id],
    queryFn: ({ pageParam: cursor }) => api.invitations.list({ params: { id }, query: { limit: 100, cursor } }),
    ...paged,
    staleTime: 30_000,
  });
