// What is told of facts outside, and what is looked at there.
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { answer, api, type Schema } from './client'

export type Integration = Schema['Integration']
export type Delivery = Schema['Delivery']
export type Mapping = Schema['Mapping']
export type Suggestion = Schema['Suggestions']['items'][number]
export type Created = Schema['CreatedIntegration']
export type Rotated = Schema['RotatedSecret']

/** integrationsQuery is all of them, page by page; there are few. */
export const integrationsQuery = infiniteQueryOptions({
  queryKey: ['integrations', 'list'] as const,
  queryFn: ({ pageParam, signal }) =>
    answer(
      api.GET('/integrations', { params: { query: { limit: 200, ...(pageParam && { cursor: pageParam }) } }, signal }),
    ),
  initialPageParam: '',
  getNextPageParam: (page) => page.next,
})

export const integrationQuery = (name: string) =>
  queryOptions({
    queryKey: ['integrations', 'one', name] as const,
    queryFn: ({ signal }) => answer(api.GET('/integrations/{name}', { params: { path: { name } }, signal })),
  })

/** deliveriesQuery is what one of them was sent, newest first, of the last 30 days. */
export const deliveriesQuery = (name: string) =>
  infiniteQueryOptions({
    queryKey: ['integrations', 'deliveries', name] as const,
    queryFn: ({ pageParam, signal }) =>
      answer(
        api.GET('/integrations/{name}/deliveries', {
          params: { path: { name }, query: { limit: 50, ...(pageParam && { cursor: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.next,
    refetchInterval: 5_000, // the log does not tell of each attempt
  })

export const mappingsQuery = (name: string) =>
  infiniteQueryOptions({
    queryKey: ['integrations', 'mappings', name] as const,
    queryFn: ({ pageParam, signal }) =>
      answer(
        api.GET('/integrations/{name}/mappings', {
          params: { path: { name }, query: { limit: 200, ...(pageParam && { cursor: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.next,
  })

/** suggestionsQuery asks Argo CD now which applications take which secrets. */
export const suggestionsQuery = (name: string) =>
  queryOptions({
    queryKey: ['integrations', 'suggestions', name] as const,
    queryFn: ({ signal }) =>
      answer(api.GET('/integrations/{name}/suggestions', { params: { path: { name } }, signal })),
    staleTime: 0,
    gcTime: 0,
  })

const place = (name: string, key: string) => ({ params: { path: { name }, header: { 'Idempotency-Key': key } } })

export const create = (body: Schema['CreateIntegration'], key: string) =>
  answer(api.POST('/integrations', { params: { header: { 'Idempotency-Key': key } }, body }))

export const change = (name: string, body: Schema['ChangeIntegration'], key: string) =>
  answer(api.POST('/integrations/{name}/change', { ...place(name, key), body }))

export const disable = (name: string, reason: string, key: string) =>
  answer(api.POST('/integrations/{name}/disable', { ...place(name, key), body: reason ? { reason } : {} }))

export const enable = (name: string, key: string) =>
  answer(api.POST('/integrations/{name}/enable', { ...place(name, key), body: {} }))

export const remove = (name: string, reason: string, key: string) =>
  answer(api.POST('/integrations/{name}/remove', { ...place(name, key), body: reason ? { reason } : {} }))

export const rotate = (name: string, body: Schema['RotateSecret'], key: string) =>
  answer(api.POST('/integrations/{name}/rotate', { ...place(name, key), body }))

export const tryOut = (name: string, key: string) =>
  answer(api.POST('/integrations/{name}/test', { ...place(name, key), body: {} }))

export const addMapping = (name: string, body: Schema['AddMapping'], key: string) =>
  answer(api.POST('/integrations/{name}/mappings', { ...place(name, key), body }))

export const removeMapping = (name: string, id: string, key: string) =>
  answer(
    api.POST('/integrations/{name}/mappings/{id}/remove', {
      params: { path: { name, id }, header: { 'Idempotency-Key': key } },
      body: {},
    }),
  )

export const retry = (name: string, id: string, key: string) =>
  answer(
    api.POST('/integrations/{name}/deliveries/{id}/retry', {
      params: { path: { name, id }, header: { 'Idempotency-Key': key } },
      body: {},
    }),
  )
