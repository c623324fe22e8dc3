// Requests: what can be asked about them, and what people say to them. No value passes here: those
// are sealed and opened by pages/requests alone.
import { infiniteQueryOptions, type QueryClient, queryOptions } from '@tanstack/react-query'
import { answer, api, prefix, type Schema } from './client'

export type Request = Schema['Request']
export type RequestState = Request['state']
export type Envelope = Schema['Envelope']
export type Action = Schema['Action']
export type Verb = keyof Schema['Actions']
export type Event = Schema['Event']
export type Review = Schema['Review']

/** How many requests a page of a list has. */
const pageSize = 50

/** What a list of requests is narrowed by; what is left out does not narrow it. */
export interface RequestFilters {
  state?: RequestState[]
  mine?: boolean
  /** What waits for the caller: a vote, values, a review. */
  asked?: 'me'
  /** What the caller voted on, newest first. */
  decided?: 'me'
  connection?: string
  project?: string
  environment?: string
  review?: ('pending' | 'overdue' | 'done')[]
  /** CONNECTION/REF, or the id of a secret of the inventory. */
  secret?: string
  /** The id of a person. */
  requester?: string
  operation?: Request['operation']
}

/** requestsQuery is a list, newest first, page by page. */
export const requestsQuery = (filters: RequestFilters = {}, limit = pageSize) =>
  infiniteQueryOptions({
    queryKey: ['requests', 'list', filters, limit] as const,
    queryFn: ({ pageParam, signal }) =>
      answer(
        api.GET('/requests', {
          params: { query: { ...filters, limit, ...(pageParam && { cursor: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.next,
  })

/** askedQuery is what waits for the caller. */
export const askedQuery = requestsQuery({ asked: 'me' })

/** decidedQuery is what the caller decided last. */
export const decidedQuery = requestsQuery({ decided: 'me' }, 5)

/** readyQuery is what the caller asked to read and was carried out: its values may still be there to open. */
export const readyQuery = requestsQuery({ mine: true, state: ['executed'], operation: 'read' }, 20)

/** requestQuery is one request with its votes and envelopes. */
export const requestQuery = (id: string) =>
  queryOptions({
    queryKey: ['requests', 'one', id] as const,
    queryFn: ({ signal }) => answer(api.GET('/requests/{id}', { params: { path: { id } }, signal })),
  })

/** pastQuery is one request as it was after a commit of the log, or at a time. It never changes. */
export const pastQuery = (id: string, asOf: string) =>
  queryOptions({
    queryKey: ['requests', 'past', id, asOf] as const,
    queryFn: ({ signal }) =>
      answer(api.GET('/requests/{id}', { params: { path: { id }, query: { as_of: asOf } }, signal })),
    staleTime: 'static',
  })

/** historyQuery is the facts of one request, the oldest first. */
export const historyQuery = (id: string) =>
  queryOptions({
    queryKey: ['requests', 'history', id] as const,
    queryFn: async ({ signal }) => {
      const page = await answer(api.GET('/requests/{id}/events', { params: { path: { id } }, signal }))
      return page.items
    },
  })

/** requestsIn are the requests of all pages of a list. */
export const requestsIn = (data: { pages: { items: Request[] }[] } | undefined): Request[] =>
  data?.pages.flatMap((page) => page.items) ?? []

interface Verdict {
  comment?: string | undefined
  /** Of the approval of a patch: the number of the comparison that was looked at. */
  comparison?: number | undefined
}

/** A command's key, and whether it has to outlive the page. */
interface Sending {
  key: string
  keepalive?: boolean
}

const place = (id: string, { key, keepalive = false }: Sending) => ({
  params: { path: { id }, header: { 'Idempotency-Key': key } },
  keepalive,
})

const said = (comment: string | undefined) => (comment ? { comment } : {})

export const approve = (id: string, { comment, comparison }: Verdict, how: Sending) =>
  answer(
    api.POST('/requests/{id}/approve', {
      ...place(id, how),
      body: { ...said(comment), ...(comparison !== undefined && { comparison }) },
    }),
  )

export const reject = (id: string, { comment }: Verdict, how: Sending) =>
  answer(api.POST('/requests/{id}/reject', { ...place(id, how), body: said(comment) }))

export const cancel = (id: string, comment: string, how: Sending) =>
  answer(api.POST('/requests/{id}/cancel', { ...place(id, how), body: said(comment) }))

export const refuse = (id: string, comment: string, how: Sending) =>
  answer(api.POST('/requests/{id}/refuse', { ...place(id, how), body: { comment } }))

export const review = (id: string, body: Review, how: Sending) =>
  answer(api.POST('/requests/{id}/review', { ...place(id, how), body }))

/** keep puts a request that the server told into the cache, unless what is there is newer. */
export function keep(cache: QueryClient, request: Request) {
  const { queryKey } = requestQuery(request.id)
  const before = cache.getQueryData(queryKey)
  if (before && before.seq > request.seq) return
  cache.setQueryData(queryKey, request)
  if (before && before.seq < request.seq) {
    void cache.invalidateQueries({ queryKey: historyQuery(request.id).queryKey })
  }
}

/** Whether what is shown of a request is as the server has it now. */
export type Following = 'connecting' | 'live' | 'reconnecting'

/** The first wait before another try, in milliseconds. It doubles up to half a minute. */
const patience = 1_000

/**
 * followRequest keeps one request in the cache as it changes, and says how the line is, until it is told
 * to stop. The server's first message is the request as it stands, so a line that comes back misses nothing.
 */
export function followRequest(cache: QueryClient, id: string, say: (state: Following) => void): () => void {
  let source: EventSource | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let failures = 0

  const open = () => {
    clearTimeout(timer)
    source?.close()
    source = new EventSource(`${prefix}/requests/${encodeURIComponent(id)}/stream`)
    source.addEventListener('request', (event) => {
      failures = 0
      say('live')
      keep(cache, JSON.parse(event.data) as Request)
    })
    source.addEventListener('error', () => {
      say('reconnecting')
      if (source?.readyState !== EventSource.CLOSED) return // it tries again by itself
      timer = setTimeout(open, Math.min(patience * 2 ** failures++, 30_000))
    })
  }
  const lost = () => say('reconnecting')

  open()
  window.addEventListener('online', open)
  window.addEventListener('offline', lost)
  return () => {
    window.removeEventListener('online', open)
    window.removeEventListener('offline', lost)
    clearTimeout(timer)
    source?.close()
  }
}
