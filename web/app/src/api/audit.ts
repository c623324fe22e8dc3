import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query'
import { answer, api, prefix, type Schema } from './client'

/** What narrows the audit; nothing is everything. Since is inclusive, until is not. */
export interface AuditQuery {
  actor?: string
  /** A type or the beginning of one, such as `sb.request.`. */
  type?: string
  stream?: string
  correlation?: string
  outcome?: Schema['Outcome']
  /** CONNECTION/REF. */
  secret?: string
  text?: string
  since?: string
  until?: string
}

export type Facet = 'actor' | 'type' | 'aggregate' | 'outcome'

/** How many facts a page has. */
const pageSize = 100

/** How many newer facts are counted: more are "50 and more". */
export const newerCounted = 50

/** How many facts of one intention are shown together. */
export const storyLength = 1000

/**
 * The list as it was at one look. It stands still while somebody reads it: what came since is told by
 * newerQuery, and shown with the next look.
 */
export const eventsQuery = (query: AuditQuery, look: number) =>
  infiniteQueryOptions({
    queryKey: ['audit', 'events', query, look] as const,
    queryFn: ({ pageParam, signal }) =>
      answer(
        api.GET('/audit/events', {
          params: { query: { ...query, limit: pageSize, ...(pageParam && { cursor: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.next,
    staleTime: 'static',
  })

/** The newest facts of a query. It is asked again with every change of the log. */
export const newerQuery = (query: AuditQuery) =>
  queryOptions({
    queryKey: ['audit', 'newer', query] as const,
    queryFn: ({ signal }) =>
      answer(api.GET('/audit/events', { params: { query: { ...query, limit: newerCounted } }, signal })),
  })

export const facetQuery = (query: AuditQuery, by: Facet, look: number) =>
  queryOptions({
    queryKey: ['audit', 'facet', by, query, look] as const,
    queryFn: ({ signal }) => answer(api.GET('/audit/facets', { params: { query: { ...query, by } }, signal })),
    staleTime: 'static',
    placeholderData: keepPreviousData,
  })

export const histogramQuery = (query: AuditQuery, look: number) =>
  queryOptions({
    queryKey: ['audit', 'histogram', query, look] as const,
    queryFn: ({ signal }) => answer(api.GET('/audit/histogram', { params: { query }, signal })),
    staleTime: 'static',
    placeholderData: keepPreviousData,
  })

/** All that one intention set in motion, oldest first, and whether that is all. */
export const storyQuery = (correlation: string) =>
  queryOptions({
    queryKey: ['audit', 'story', correlation] as const,
    queryFn: async ({ signal }) => {
      const events: Schema['Event'][] = []
      let cursor: string | undefined
      do {
        const page = await answer(
          api.GET('/audit/events', {
            params: { query: { correlation, limit: 200, ...(cursor && { cursor }) } },
            signal,
          }),
        )
        events.push(...page.items)
        cursor = page.next
      } while (cursor && events.length < storyLength)
      return { events, complete: !cursor }
    },
  })

/** The one fact that a stream begins with, which says what the others are about. It never changes. */
export const firstQuery = (stream: string, type: string) =>
  queryOptions({
    queryKey: ['audit', 'first', stream, type] as const,
    queryFn: async ({ signal }) => {
      const page = await answer(api.GET('/audit/events', { params: { query: { stream, type, limit: 1 } }, signal }))
      return page.items[0] ?? null
    },
    staleTime: 'static',
  })

/** exportAddress is where the facts of a query are downloaded as JSON Lines. The cookie goes along. */
export function exportAddress(query: AuditQuery): string {
  const parameters = new URLSearchParams(Object.entries(query).filter(([, value]) => value) as [string, string][])
  return `${prefix}/audit/export${parameters.size > 0 ? `?${parameters}` : ''}`
}

/** evidenceAddress is where the file that proves a request is downloaded. The cookie goes along. */
export const evidenceAddress = (request: string): string => `${prefix}/audit/evidence/${encodeURIComponent(request)}`
