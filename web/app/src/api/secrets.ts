// The inventory: what scans have met, and whose it is. There are no values in it, and no names of keys.
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query'
import { answer, api, type Schema } from './client'
import type { Provider } from './connections'

export type Secret = Schema['Secret']
export type Facet = Schema['Facet']
export type Ownership = Schema['Ownership']
export type OwnershipRule = Schema['OwnershipRule']
export type Explanation = Schema['Explanation']

/** The most that the server gives in one page. */
const pageSize = 200

/** What a list of secrets is narrowed by; what is left out does not narrow it. */
export interface SecretFilters {
  /** NAME:VALUE, as pages/inventory/labels.ts writes them. All must hold. */
  label?: string[]
  text?: string
  prefix?: string
  connection?: string
  provider?: Provider
  cluster?: string
  status?: 'present' | 'gone' | 'all'
  /** Empty: nobody's. */
  owner?: string
  /** Empty: of none. */
  environment?: string
  older_than_days?: number
}

/** secretsQuery is a list, page by page. */
export const secretsQuery = (filters: SecretFilters) =>
  infiniteQueryOptions({
    queryKey: ['secrets', 'list', filters] as const,
    queryFn: ({ pageParam, signal }) =>
      answer(
        api.GET('/secrets', {
          params: { query: { ...filters, limit: pageSize, ...(pageParam && { cursor: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.next,
  })

/** countQuery is how many there are, or how many were counted until it took too long. */
export const countQuery = (filters: SecretFilters) =>
  queryOptions({
    queryKey: ['secrets', 'count', filters] as const,
    queryFn: ({ signal }) => answer(api.GET('/secrets/count', { params: { query: filters }, signal })),
    placeholderData: keepPreviousData,
  })

/** What labels are counted in. */
export type FacetFilters = Pick<SecretFilters, 'connection' | 'provider' | 'cluster'>

/** facetsQuery is the values of a label and how many secrets have each; without one, the labels there are. */
export const facetsQuery = (label: string, filters: FacetFilters) =>
  queryOptions({
    queryKey: ['secrets', 'facets', label, filters] as const,
    queryFn: async ({ signal }) => {
      const query = { ...filters, limit: 200, ...(label && { label }) }
      const page = await answer(api.GET('/secrets/facets', { params: { query }, signal }))
      return page.items
    },
    placeholderData: keepPreviousData,
  })

export const secretQuery = (id: string) =>
  queryOptions({
    queryKey: ['secrets', 'one', id] as const,
    queryFn: ({ signal }) => answer(api.GET('/secrets/{id}', { params: { path: { id } }, signal })),
  })

const place = (id: string, key: string) => ({ params: { path: { id }, header: { 'Idempotency-Key': key } } })

/** assign says by hand whose a secret is. An empty text leaves that one to the rules. */
export const assign = (id: string, body: Schema['Assign'], key: string) =>
  answer(api.POST('/secrets/{id}/assign', { ...place(id, key), body }))

/** queueKeys has an agent look up the names of a secret's keys. */
export const queueKeys = (id: string, key: string) =>
  answer(api.POST('/secrets/{id}/keys', { ...place(id, key), body: {} }))

/** ownershipQuery is the rules that say whose secrets are, with their version. */
export const ownershipQuery = queryOptions({
  queryKey: ['secrets', 'ownership'] as const,
  queryFn: ({ signal }) => answer(api.GET('/ownership', { signal })),
})

/** setOwnership replaces all rules, on top of the version that was read. */
export const setOwnership = (version: number, rules: OwnershipRule[], key: string) =>
  answer(api.POST('/ownership', { params: { header: { 'Idempotency-Key': key } }, body: { version, rules } }))

/** explainQuery is what would become of the caller's request to read or change a secret, and why. */
export const explainQuery = (secret: string, operation: 'read' | 'patch') =>
  queryOptions({
    queryKey: ['governance', 'explain', secret, operation] as const,
    queryFn: ({ signal }) => answer(api.POST('/policy/explain', { body: { secret, operation }, signal })),
  })

/** requestsOfQuery is the newest requests for a secret, CONNECTION/REF, of those that the caller may see. */
export const requestsOfQuery = (secret: string) =>
  queryOptions({
    queryKey: ['requests', 'of', secret] as const,
    queryFn: async ({ signal }) =>
      (await answer(api.GET('/requests', { params: { query: { secret, limit: 10 } }, signal }))).items,
  })
