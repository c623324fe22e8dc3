// The governance, how it came to be, and what would become of a change or of a request.
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query'
import { answer, api, type Schema } from './client'
import { namesQuery as namedConnections } from './connections'

export type Kind = Schema['ObjectKind']
export type Ref = Schema['ObjectRef']
export type Approvers = Schema['Approvers']
export type Scope = Schema['Scope']
export type Plan = Schema['Plan']
export type Fault = Schema['GovernanceFault']
export type ObjectChange = Schema['ObjectChange']
export type Amendment = Schema['Amendment']
export type Version = Schema['GovernanceVersion']
export type Explanation = Schema['Explanation']
export type Simulation = Schema['Simulation']
export type Ask = Schema['ExplainPolicy']
export type Applied = Schema['Applied']

/** What an object says, as the server tells it. Forms write into it and leave alone what they do not know. */
export type Spec = Record<string, unknown>

/** One object of the governance. */
export interface Thing {
  kind: Kind
  name: string
  spec: Spec
}

/** A change of the governance: objects that are set, and names that go. */
export interface Change {
  set: Thing[]
  removed: Ref[]
}

export interface Governance {
  version: number
  objects: Thing[]
}

const told = (g: Schema['Governance']): Governance => ({ version: g.version, objects: g.objects as Thing[] })

export const governanceQuery = queryOptions({
  queryKey: ['governance', 'objects'] as const,
  queryFn: async () => told(await answer(api.GET('/governance'))),
})

/** The objects as they were in a version. Nothing changes them any more. */
export const versionQuery = (n: number) =>
  queryOptions({
    queryKey: ['governance', 'version', n] as const,
    queryFn: async () =>
      told(await answer(api.GET('/governance/versions/{n}', { params: { path: { n: String(n) } } }))),
  })

export const historyQuery = infiniteQueryOptions({
  queryKey: ['governance', 'history'] as const,
  queryFn: ({ pageParam }) =>
    answer(api.GET('/governance/history', { params: { query: { limit: 50, cursor: pageParam || undefined } } })),
  initialPageParam: '',
  getNextPageParam: (page) => page.next || undefined,
})

export const amendmentsQuery = (states: Amendment['state'][]) =>
  infiniteQueryOptions({
    queryKey: ['governance', 'amendments', states] as const,
    queryFn: ({ pageParam }) =>
      answer(
        api.GET('/amendments', { params: { query: { state: states, limit: 50, cursor: pageParam || undefined } } }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.next || undefined,
  })

export const amendmentQuery = (id: string) =>
  queryOptions({
    queryKey: ['governance', 'amendment', id] as const,
    queryFn: () => answer(api.GET('/amendments/{id}', { params: { path: { id } } })),
  })

export const permissionsQuery = queryOptions({
  queryKey: ['governance', 'permissions'] as const,
  queryFn: () => answer(api.GET('/permissions')),
  staleTime: Number.POSITIVE_INFINITY,
})

/** What a change would do on top of what counts now. It is asked again whenever something else counts. */
export const planQuery = (change: Change) =>
  queryOptions({
    queryKey: ['governance', 'plan', change] as const,
    queryFn: ({ signal }) => answer(api.POST('/governance/plan', { body: bodyOf(change), signal })),
    placeholderData: keepPreviousData,
    gcTime: 60_000,
    retry: false,
  })

const bodyOf = (change: Change) => ({ set: change.set as Schema['Object'][], removed: change.removed })

/** apply changes the governance on top of a version, all or nothing. */
export const apply = (change: Change, version: number, note: string, key: string) =>
  answer(
    api.POST('/governance/apply', {
      body: { ...bodyOf(change), version, note },
      params: { header: { 'Idempotency-Key': key } },
    }),
  )

/** simulate decides past requests again, under a change. */
export const simulate = (change: Change) => answer(api.POST('/policy/simulate', { body: bodyOf(change) }))

/** explain says what would become of a request now. */
export const explain = (ask: Ask) => answer(api.POST('/policy/explain', { body: ask }))

export const approveAmendment = (id: string, comment: string, key: string) =>
  answer(
    api.POST('/amendments/{id}/approve', {
      params: { path: { id }, header: { 'Idempotency-Key': key } },
      body: comment ? { comment } : {},
    }),
  )

export const rejectAmendment = (id: string, comment: string, key: string) =>
  answer(
    api.POST('/amendments/{id}/reject', {
      params: { path: { id }, header: { 'Idempotency-Key': key } },
      body: comment ? { comment } : {},
    }),
  )

export const withdrawAmendment = (id: string, key: string) =>
  answer(
    api.POST('/amendments/{id}/withdraw', { params: { path: { id }, header: { 'Idempotency-Key': key } }, body: {} }),
  )

/** How many people are known by name at most, so that an installation of many thousands stays quick. */
const mostPeople = 2_000

/** Names by ids, for who may list people. */
export const namesQuery = queryOptions({
  queryKey: ['people', 'names'] as const,
  queryFn: async () => {
    const names: { id: string; name: string }[] = []
    let cursor: string | undefined
    do {
      const page: Schema['AccountPage'] = await answer(
        api.GET('/people', { params: { query: { limit: 200, cursor } } }),
      )
      for (const person of page.items) names.push({ id: person.id, name: person.name })
      cursor = page.next
    } while (cursor && names.length < mostPeople)
    return names
  },
})

/** The names of connections that one may see. */
export const connectionNamesQuery = queryOptions({
  ...namedConnections,
  select: (connections) => connections.map(({ name }) => name),
})
