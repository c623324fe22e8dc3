// People and what they may do. Links are shown once: what makes one is called by its dialog alone.
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { answer, api, newKey, type Schema } from './client'

export type Account = Schema['Account']
export type PersonGrant = Schema['PersonGrant']
export type Link = Schema['Link']

export const peopleQuery = infiniteQueryOptions({
  queryKey: ['people', 'list'] as const,
  queryFn: ({ pageParam }) =>
    answer(api.GET('/people', { params: { query: { limit: 100, cursor: pageParam || undefined } } })),
  initialPageParam: '',
  getNextPageParam: (page: { next?: string }) => page.next,
})

export const personQuery = (id: string) =>
  queryOptions({
    queryKey: ['people', 'one', id] as const,
    queryFn: () => answer(api.GET('/people/{id}', { params: { path: { id } } })),
  })

export const sessionsOfQuery = (id: string) =>
  queryOptions({
    queryKey: ['people', 'sessions', id] as const,
    queryFn: () => answer(api.GET('/people/{id}/sessions', { params: { path: { id } } })),
  })

/** For commands about one person: where, and as which of all commands. */
const about = (id: string, key = newKey()) => ({ path: { id }, header: { 'Idempotency-Key': key } })

export const invitePerson = (body: Schema['InvitePerson'], key: string) =>
  answer(api.POST('/people', { body, params: { header: { 'Idempotency-Key': key } } }))

export const resetLink = (id: string) => answer(api.POST('/people/{id}/reset-link', { params: about(id) }))

export const disablePerson = (id: string, reason: string) =>
  answer(api.POST('/people/{id}/disable', { body: { reason }, params: about(id) }))

export const enablePerson = (id: string) => answer(api.POST('/people/{id}/enable', { params: about(id) }))

export const erasePerson = (id: string) => answer(api.POST('/people/{id}/erase', { body: {}, params: about(id) }))

export const endSessionsOf = (id: string) => answer(api.POST('/people/{id}/sessions/revoke', { params: about(id) }))

export const giveGrant = (id: string, body: Schema['GiveGrant'], key: string) =>
  answer(api.POST('/people/{id}/grants', { body, params: about(id, key) }))

export const takeGrant = (id: string, grant: string, reason: string) =>
  answer(
    api.POST('/people/{id}/grants/{grant}/take', {
      body: { reason },
      params: { path: { id, grant }, header: { 'Idempotency-Key': newKey() } },
    }),
  )
