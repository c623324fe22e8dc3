// Reports about the inventory, for those who watch over secrets.
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { answer, api, prefix, type Schema } from './client'
import type { SecretFilters } from './secrets'

export type Outside = Schema['OutOfBand']
export type Duplicate = Schema['Duplicate']
export type Coverage = Schema['Coverage']

export type Report = 'stale' | 'unowned' | 'out-of-band' | 'duplicates'

/** What a report can be narrowed by. That of nobody's secrets has no owner to ask for, that of duplicates nothing. */
export type ReportFilters = Omit<SecretFilters, 'status' | 'cluster' | 'prefix'>

const limit = 100

/** told is a page of a report, which comes as CSV only to who asks for that (csvOf). */
const told = async <Page>(call: Promise<Page | string>): Promise<Page> => (await call) as Page

const from = (cursor: string) => ({ limit, ...(cursor && { cursor }) })

/** staleQuery is secrets that were not changed for so many days, the oldest first. */
export const staleQuery = (filters: ReportFilters) =>
  infiniteQueryOptions({
    queryKey: ['secrets', 'report', 'stale', filters] as const,
    queryFn: ({ pageParam, signal }) =>
      told<Schema['SecretPage']>(
        answer(api.GET('/reports/stale', { params: { query: { ...filters, ...from(pageParam) } }, signal })),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.next,
  })

/** unownedQuery is secrets that neither a person nor a rule gives to anybody. */
export const unownedQuery = ({ owner: _, ...filters }: ReportFilters) =>
  infiniteQueryOptions({
    queryKey: ['secrets', 'report', 'unowned', filters] as const,
    queryFn: ({ pageParam, signal }) =>
      told<Schema['SecretPage']>(
        answer(api.GET('/reports/unowned', { params: { query: { ...filters, ...from(pageParam) } }, signal })),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.next,
  })

/** outsideQuery is versions that no approved request wrote, the newest first. */
export const outsideQuery = (filters: ReportFilters) =>
  infiniteQueryOptions({
    queryKey: ['secrets', 'report', 'out-of-band', filters] as const,
    queryFn: ({ pageParam, signal }) =>
      told<Schema['OutOfBandPage']>(
        answer(api.GET('/reports/out-of-band', { params: { query: { ...filters, ...from(pageParam) } }, signal })),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.next,
  })

/** duplicatesQuery is values that several secrets share, each known by a name that says nothing of it. */
export const duplicatesQuery = infiniteQueryOptions({
  queryKey: ['secrets', 'report', 'duplicates'] as const,
  queryFn: ({ pageParam, signal }) =>
    told<Schema['DuplicatePage']>(
      answer(api.GET('/reports/duplicates', { params: { query: from(pageParam) }, signal })),
    ),
  initialPageParam: '',
  getNextPageParam: (page) => page.next,
})

/** coverageQuery is which connections were compared, of which key and when. */
export const coverageQuery = queryOptions({
  queryKey: ['secrets', 'report', 'coverage'] as const,
  queryFn: async ({ signal }) => (await answer(api.GET('/reports/duplicates/coverage', { signal }))).items,
})

/** csvOf is where a whole report is as a table. It is a download of the browser's own, so nothing of it is held here. */
export function csvOf(report: Report, filters: ReportFilters = {}): string {
  const query = new URLSearchParams({ format: 'csv' })
  for (const [name, value] of Object.entries(filters)) {
    for (const one of value === undefined ? [] : [value].flat()) query.append(name, String(one))
  }
  return `${prefix}/reports/${report}?${query}`
}
