// Connections: secret stores behind the agents of one cluster.
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { answer, api, type Schema } from './client'

export type Connection = Schema['Connection']
export type Provider = Schema['Provider']

export interface ConnectionFilters {
  cluster?: string
  state?: Connection['state']
}

/** connectionsQuery is all connections, page by page; there are few. */
export const connectionsQuery = (filters: ConnectionFilters = {}) =>
  infiniteQueryOptions({
    queryKey: ['connections', 'list', filters] as const,
    queryFn: ({ pageParam, signal }) =>
      answer(
        api.GET('/connections', {
          params: { query: { ...filters, limit: 200, ...(pageParam && { cursor: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.next,
  })

export const connectionQuery = (name: string) =>
  queryOptions({
    queryKey: ['connections', 'one', name] as const,
    queryFn: ({ signal }) => answer(api.GET('/connections/{name}', { params: { path: { name } }, signal })),
  })

/** namesQuery is the names of the connections there are, for choices. */
export const namesQuery = queryOptions({
  queryKey: ['connections', 'names'] as const,
  queryFn: async ({ signal }) => {
    const page = await answer(api.GET('/connections', { params: { query: { limit: 200 } }, signal }))
    return page.items
  },
})

const place = (name: string, key: string) => ({ params: { path: { name }, header: { 'Idempotency-Key': key } } })

export const create = (body: Schema['CreateConnection'], key: string) =>
  answer(api.POST('/connections', { params: { header: { 'Idempotency-Key': key } }, body }))

export const disable = (name: string, reason: string, key: string) =>
  answer(api.POST('/connections/{name}/disable', { ...place(name, key), body: reason ? { reason } : {} }))

export const enable = (name: string, key: string) =>
  answer(api.POST('/connections/{name}/enable', { ...place(name, key), body: {} }))

/** schedule says how long after a scan the next one begins, in seconds; 0 is never. */
export const schedule = (name: string, every: number, key: string) =>
  answer(api.POST('/connections/{name}/schedule', { ...place(name, key), body: { every_seconds: every } }))
