// Jobs that no request stands behind: scans, fingerprints, and the names of one secret's keys.
import { infiniteQueryOptions, type QueryClient, queryOptions } from '@tanstack/react-query'
import { answer, api, prefix, type Schema } from './client'

export type Job = Schema['Job']
export type JobType = Job['type']
export type JobState = Job['state']
export type Progress = Schema['Progress']

export interface JobFilters {
  connection?: string
  type?: JobType
  state?: JobState[]
}

/** jobsQuery is a list, newest first, page by page. */
export const jobsQuery = (filters: JobFilters = {}, limit = 50) =>
  infiniteQueryOptions({
    queryKey: ['jobs', 'list', filters, limit] as const,
    queryFn: ({ pageParam, signal }) =>
      answer(
        api.GET('/jobs', { params: { query: { ...filters, limit, ...(pageParam && { cursor: pageParam }) } }, signal }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.next,
  })

/** jobQuery is one job, also with what it waits for. */
export const jobQuery = (id: string) =>
  queryOptions({
    queryKey: ['jobs', 'one', id] as const,
    queryFn: ({ signal }) => answer(api.GET('/jobs/{id}', { params: { path: { id } }, signal })),
  })

/** Whether nothing follows any more. */
export const ended = (state: JobState): boolean => ['finished', 'failed', 'cancelled'].includes(state)

export const queue = (type: 'discover' | 'fingerprint', connection: string, key: string) =>
  answer(api.POST('/jobs', { params: { header: { 'Idempotency-Key': key } }, body: { type, connection } }))

/** underWay is the job of a kind that a connection is busy with, if there is one. */
export async function underWay(type: JobType, connection: string): Promise<Job | undefined> {
  const page = await answer(
    api.GET('/jobs', { params: { query: { type, connection, state: ['queued', 'running'], limit: 1 } } }),
  )
  return page.items[0]
}

export const cancel = (id: string, reason: string, key: string) =>
  answer(
    api.POST('/jobs/{id}/cancel', {
      params: { path: { id }, header: { 'Idempotency-Key': key } },
      body: reason ? { reason } : {},
    }),
  )

/** keyNames is what a job of type keys found. It is told to whoever asked, for ten minutes, and is not cached. */
export const keyNames = (id: string) => answer(api.GET('/jobs/{id}/keys', { params: { path: { id } } }))

/** The first wait before another try, in milliseconds. It doubles up to half a minute. */
const patience = 1_000

/**
 * followJob keeps one job in the cache as it gets on, until it has ended or is told to stop. `say` hears
 * whether what is shown is as the server has it now.
 */
export function followJob(cache: QueryClient, id: string, say: (live: boolean) => void): () => void {
  const { queryKey } = jobQuery(id)
  let source: EventSource | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let failures = 0

  const stop = () => {
    clearTimeout(timer)
    source?.close()
  }
  const open = () => {
    stop()
    source = new EventSource(`${prefix}/jobs/${encodeURIComponent(id)}/stream`)
    source.addEventListener('job', (event) => {
      failures = 0
      say(true)
      const job = JSON.parse(event.data) as Job
      cache.setQueryData(queryKey, job)
      if (!ended(job.state)) return
      stop()
      void cache.invalidateQueries({ queryKey: ['jobs', 'list'] })
    })
    source.addEventListener('error', () => {
      say(false)
      if (source?.readyState !== EventSource.CLOSED) return // it tries again by itself
      timer = setTimeout(open, Math.min(patience * 2 ** failures++, 30_000))
    })
  }
  open()
  return stop
}
