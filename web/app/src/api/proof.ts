// What proves the log to who does not trust this server, and what keeps it whole.
import { queryOptions } from '@tanstack/react-query'
import { comparisonOf } from '../parts/proof/comparison'
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

export const placeHold = (reason: string, user?: string, key = newKey()) =>
  answer(
    api.POST('/audit/holds', {
      params: { header: { 'Idempotency-Key': key } },
      body: { reason, ...(user && { user }) },
    }),
  )

export const liftHold = (id: string, reason: string) =>
  answer(
    api.POST('/audit/holds/{id}/lift', {
      params: { path: { id }, header: { 'Idempotency-Key': newKey() } },
      body: { reason },
    }),
  )

/** How many pages of people and machines are asked for whom a hold may be of. Others are held by their ids. */
const mostPages = 5

/** Whom a hold may be of, as they are chosen from. */
export interface Holdable {
  id: string
  name: string
}

interface Page {
  items: Holdable[]
  next?: string | undefined
}

async function pages(ask: (cursor?: string) => Promise<Page>): Promise<Holdable[]> {
  const found: Holdable[] = []
  let cursor: string | undefined
  for (let page = 0; page < mostPages; page++) {
    const { items, next } = await ask(cursor)
    found.push(...items)
    if (!next) break
    cursor = next
  }
  return found
}

const page = (cursor?: string) => ({ limit: 200, ...(cursor && { cursor }) })

/** holdableQuery is who can be chosen to be held: people, told apart by their e-mail, and machines, as far as they may be listed. */
export const holdableQuery = (people: boolean, machines: boolean) =>
  queryOptions({
    queryKey: ['people', 'holdable', people, machines] as const,
    queryFn: async ({ signal }): Promise<Holdable[]> => [
      ...(people
        ? await pages(async (cursor) => {
            const { items, next } = await answer(api.GET('/people', { params: { query: page(cursor) }, signal }))
            return {
              items: items.map(({ id, name, email }) => ({ id, name: email ? `${name} (${email})` : name })),
              next,
            }
          })
        : []),
      ...(machines
        ? await pages(async (cursor) => {
            const { items, next } = await answer(api.GET('/machines', { params: { query: page(cursor) }, signal }))
            return { items: items.map(({ id, name }) => ({ id, name: `${name} (machine)` })), next }
          })
        : []),
    ],
  })

/** compare has views and audit compared with the log. It takes as long as folding the log, and ends with the signal. */
export const compare = async (signal: AbortSignal) =>
  comparisonOf(await answer(api.POST('/audit/compare', { parseAs: 'text', signal })))
