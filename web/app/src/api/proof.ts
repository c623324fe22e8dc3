// What proves the log to who does not trust this server, and what keeps it whole.
import { queryOptions } from '@tanstack/react-query'
import { readCheckpoint } from '../parts/proof/note'
import { answer, api, newKey, prefix, type Schema } from './client'
import { Unreachable } from './problem'

export type LogKeys = Schema['LogKeys']
export type Hold = Schema['LegalHold']

/** checkpointQuery is the newest signed state of the log. There is another one a second while facts arrive. */
export const checkpointQuery = queryOptions({
  queryKey: ['audit', 'checkpoint'] as const,
  queryFn: async ({ signal }) => {
    const text = await answer(api.GET('/audit/log/checkpoint', { parseAs: 'text', signal }))
    const checkpoint = readCheckpoint(text)
    if (!checkpoint) throw new Unreachable()
    return checkpoint
  },
})

export const logKeysQuery = queryOptions({
  queryKey: ['audit', 'keys'] as const,
  queryFn: ({ signal }) => answer(api.GET('/audit/log/keys', { signal })),
})

/** Where files are downloaded. The cookie goes along. */
export const checkpointAddress = `${prefix}/audit/log/checkpoint`
export const proofAddress = (seq: number): string => `${prefix}/audit/log/proof/${seq}`
export const commitAddress = (seq: number): string => `${prefix}/audit/log/commits?after=${seq - 1}&limit=1`

/** holdsQuery is the legal holds that count. */
export const holdsQuery = queryOptions({
  queryKey: ['audit', 'holds'] as const,
  queryFn: async ({ signal }) => (await answer(api.GET('/audit/holds', { signal }))).items,
})

const keyed = () => ({ 'Idempotency-Key': newKey() })

export const placeHold = (reason: string, user?: string) =>
  answer(api.POST('/audit/holds', { params: { header: keyed() }, body: { reason, ...(user && { user }) } }))

export const liftHold = (id: string, reason: string) =>
  answer(api.POST('/audit/holds/{id}/lift', { params: { path: { id }, header: keyed() }, body: { reason } }))
