// Machines: accounts that come in by tokens. A token is shown once: what makes one is called by its dialog alone.
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { answer, api, newKey, type Schema } from './client'

export type Machine = Schema['Machine']
export type MachineToken = Schema['MachineToken']
export type IssuedToken = Schema['IssuedToken']

const page = (cursor: string, limit: number) =>
  answer(api.GET('/machines', { params: { query: { limit, cursor: cursor || undefined } } }))

export const machinesQuery = infiniteQueryOptions({
  queryKey: ['machines', 'list'] as const,
  queryFn: ({ pageParam }) => page(pageParam, 100),
  initialPageParam: '',
  getNextPageParam: (last: { next?: string }) => last.next,
})

/** machineQuery is one machine, looked for in the list of all; null if it is not there. */
export const machineQuery = (id: string) =>
  queryOptions({
    queryKey: ['machines', 'one', id] as const,
    queryFn: async (): Promise<Machine | null> => {
      for (let cursor: string | undefined = ''; cursor !== undefined; ) {
        const { items, next }: Schema['MachinePage'] = await page(cursor, 200)
        const found = items.find((machine) => machine.id === id)
        if (found) return found
        cursor = next
      }
      return null
    },
  })

/** For commands about one machine: where, and as which of all commands. */
const about = (id: string, key = newKey()) => ({ path: { id }, header: { 'Idempotency-Key': key } })

export const createMachine = (body: Schema['CreateMachine'], key: string) =>
  answer(api.POST('/machines', { body, params: { header: { 'Idempotency-Key': key } } }))

export const disableMachine = (id: string, reason: string) =>
  answer(api.POST('/machines/{id}/disable', { body: reason ? { reason } : {}, params: about(id) }))

export const enableMachine = (id: string) => answer(api.POST('/machines/{id}/enable', { body: {}, params: about(id) }))

export const eraseMachine = (id: string) => answer(api.POST('/machines/{id}/erase', { body: {}, params: about(id) }))

export const issueToken = (id: string, body: Schema['IssueToken'], key: string) =>
  answer(api.POST('/machines/{id}/tokens', { body, params: about(id, key) }))

export const revokeToken = (id: string, token: string, reason: string) =>
  answer(
    api.POST('/machines/{id}/tokens/{token}/revoke', {
      body: reason ? { reason } : {},
      params: { path: { id, token }, header: { 'Idempotency-Key': newKey() } },
    }),
  )
