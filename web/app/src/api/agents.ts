// Agents, from their invitation on. The token of an invitation is no server data: whoever asks for one
// keeps it, and the cache never sees it.
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { answer, api, type Schema } from './client'

export type Agent = Schema['Agent']
export type AgentState = Agent['state']
export type Invitation = Schema['Invitation']

export interface AgentFilters {
  cluster?: string
  state?: AgentState[]
}

/** agentsQuery is a list, the newest invitation first, page by page. */
export const agentsQuery = (filters: AgentFilters = {}) =>
  infiniteQueryOptions({
    queryKey: ['agents', 'list', filters] as const,
    queryFn: ({ pageParam, signal }) =>
      answer(
        api.GET('/agents', {
          params: { query: { ...filters, limit: 100, ...(pageParam && { cursor: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.next,
  })

export const agentQuery = (id: string) =>
  queryOptions({
    queryKey: ['agents', 'one', id] as const,
    queryFn: ({ signal }) => answer(api.GET('/agents/{id}', { params: { path: { id } }, signal })),
  })

/** servingQuery is the agents that could serve a cluster now or soon: those that enrolled and were not revoked. */
export const servingQuery = (cluster: string) =>
  queryOptions({
    queryKey: ['agents', 'serving', cluster] as const,
    queryFn: async ({ signal }) => {
      const page = await answer(
        api.GET('/agents', { params: { query: { cluster, state: ['online', 'offline'], limit: 100 } }, signal }),
      )
      return page.items
    },
  })

/** invite makes a one-time token. It is in this answer, and nowhere else. */
export const invite = (body: Schema['Invite'], key: string): Promise<Invitation> =>
  answer(api.POST('/agents/invitations', { params: { header: { 'Idempotency-Key': key } }, body }))

export const revoke = (id: string, reason: string, key: string) =>
  answer(
    api.POST('/agents/{id}/revoke', { params: { path: { id }, header: { 'Idempotency-Key': key } }, body: { reason } }),
  )
