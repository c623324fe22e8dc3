// One's own account: sessions, second factors, delegations. What is shown once (a secret of an
// authenticator app, recovery codes) and passwords never pass through the cache.
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { answer, api, newKey, type Schema } from './client'

export type Factor = Schema['Factor']
export type OpenSession = Schema['OpenSession']
export type Delegation = Schema['Delegation']

export const sessionsQuery = queryOptions({
  queryKey: ['me', 'sessions'],
  queryFn: () => answer(api.GET('/me/sessions')),
})

export const factorsQuery = queryOptions({
  queryKey: ['me', 'factors'],
  queryFn: () => answer(api.GET('/me/factors')),
})

export const delegationsQuery = queryOptions({
  queryKey: ['me', 'delegations'],
  queryFn: () => answer(api.GET('/me/delegations')),
})

/** colleaguesQuery finds whom one may let vote, by a part of the name. */
export const colleaguesQuery = (text: string) =>
  queryOptions({
    queryKey: ['people', 'colleagues', text],
    queryFn: () => answer(api.GET('/colleagues', { params: { query: { text } } })),
    enabled: text.trim().length >= 2,
  })

const once = (key: string) => ({ header: { 'Idempotency-Key': key } })

export const endSession = (id: string) =>
  answer(api.POST('/me/sessions/{id}/revoke', { params: { path: { id }, ...once(newKey()) } }))

export const endOtherSessions = () => answer(api.POST('/me/sessions/revoke-others', { params: once(newKey()) }))

export const endAllSessions = () => answer(api.POST('/me/sessions/revoke-all', { params: once(newKey()) }))

export const changePassword = (old: string, password: string) =>
  answer(api.POST('/me/password', { body: { old, password }, params: once(newKey()) }))

export const removeFactor = (id: string, key: string) =>
  answer(api.POST('/me/factors/{id}/remove', { params: { path: { id }, ...once(key) } }))

export const startTotp = (name: string, key: string) =>
  answer(api.POST('/me/factors/totp', { body: { name }, params: once(key) }))

export const confirmTotp = (id: string, code: string) =>
  answer(api.POST('/me/factors/totp/{id}/confirm', { body: { code }, params: { path: { id }, ...once(newKey()) } }))

export const startPasskey = (key: string) => answer(api.POST('/me/factors/passkeys', { params: once(key) }))

export const finishPasskey = (body: Schema['NewPasskey']) =>
  answer(api.POST('/me/factors/passkeys/finish', { body, params: once(newKey()) }))

export const makeRecoveryCodes = (key: string) => answer(api.POST('/me/recovery-codes', { params: once(key) }))

export const delegate = (body: Schema['Delegate'], key: string) =>
  answer(api.POST('/me/delegations', { body, params: once(key) }))

export const endDelegation = (id: string, key: string) =>
  answer(api.POST('/me/delegations/{id}/end', { params: { path: { id }, ...once(key) } }))

export type Notices = Schema['Notices']

export const noticesQuery = queryOptions({
  queryKey: ['me', 'notices', 'choice'],
  queryFn: () => answer(api.GET('/me/notices')),
})

/** myDeliveriesQuery is what one was told in the last 30 days, newest first. */
export const myDeliveriesQuery = infiniteQueryOptions({
  queryKey: ['me', 'notices', 'deliveries'] as const,
  queryFn: ({ pageParam, signal }) =>
    answer(
      api.GET('/me/notices/deliveries', {
        params: { query: { limit: 20, ...(pageParam && { cursor: pageParam }) } },
        signal,
      }),
    ),
  initialPageParam: '',
  getNextPageParam: (page) => page.next,
  refetchInterval: 5_000, // the log does not tell of each attempt
})

export const chooseNotices = (body: Schema['ChooseNotices'], key: string) =>
  answer(api.POST('/me/notices', { body, params: once(key) }))

export const testNotices = (key: string) => answer(api.POST('/me/notices/test', { params: once(key) }))
