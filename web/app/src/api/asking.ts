// What somebody needs to ask for a secret: which there are, what the rules say, and the names of keys.
import { queryOptions } from '@tanstack/react-query'
import { answer, api, newKey, type Schema } from './client'
import { codeOf } from './problem'

export type Secret = Schema['Secret']
export type Explanation = Schema['Explanation']
export type Ask = Schema['ExplainPolicy']
export type Submit = Schema['Submit']

/** How many secrets a search offers. */
const offered = 12

/** How long the names of keys are waited for, in milliseconds, and how often they are looked for. */
const [longest, between] = [45_000, 700]

/** explainQuery is what would become of a request for this, and why. */
export const explainQuery = (ask: Ask) =>
  queryOptions({
    queryKey: ['governance', 'explain', ask] as const,
    queryFn: ({ signal }) => answer(api.POST('/policy/explain', { body: ask, signal })),
    retry: false, // a refusal is an answer, and on record
  })

/** findSecretsQuery is what a search for secrets offers, see `wordsOf`. */
export const findSecretsQuery = (typed: string) =>
  queryOptions({
    queryKey: ['secrets', 'find', typed] as const,
    queryFn: ({ signal }) => findSecrets(typed, signal),
  })

interface Words {
  labels: string[]
  text: string
}

/** wordsOf takes "team:payments stripe" apart into labels, NAME:VALUE, and the text to find. */
export function wordsOf(typed: string): Words {
  const parts = typed.trim().split(/\s+/)
  const isLabel = (part: string) => /^[^:/]+:[^:/]+$/.test(part)
  return { labels: parts.filter(isLabel), text: parts.filter((part) => !isLabel(part)).join(' ') }
}

async function findSecrets(typed: string, signal: AbortSignal): Promise<Secret[]> {
  const { labels, text } = wordsOf(typed)
  const list = async (query: { connection?: string; prefix?: string; text?: string }) => {
    const narrowed = { limit: offered, ...query, ...(labels.length > 0 && { label: labels }) }
    return (await answer(api.GET('/secrets', { params: { query: narrowed }, signal }))).items
  }
  const path = /^([a-z][a-z0-9-]{0,39})\/(.*)$/.exec(text)
  if (path) {
    const [, connection = '', prefix = ''] = path
    const found = await list({ connection, ...(prefix && { prefix }) })
    if (found.length > 0) return found
  }
  if (text.length >= 3) return list({ text })
  return list(text ? { prefix: text } : {})
}

/** namedQuery is the secret of the inventory with this name, CONNECTION/REF, or nothing. */
export const namedQuery = (secret: string) =>
  queryOptions({
    queryKey: ['secrets', 'named', secret] as const,
    queryFn: async ({ signal }) => {
      const slash = secret.indexOf('/')
      const query = { connection: secret.slice(0, slash), prefix: secret.slice(slash + 1), limit: 1 }
      const { items } = await answer(api.GET('/secrets', { params: { query }, signal }))
      return items.find((found) => found.secret === secret) ?? null
    },
  })

/** teamsQuery is the names of all teams, for who may read the governance. */
export const teamsQuery = queryOptions({
  queryKey: ['governance', 'teams'] as const,
  queryFn: async ({ signal }) => {
    const { objects } = await answer(api.GET('/governance', { signal }))
    return objects.filter(({ kind }) => kind === 'Team').map(({ name }) => name)
  },
})

/** keyNames has an agent look for the names of a secret's keys, and waits for them. It is on record who asked. */
export async function keyNames(id: string, signal: AbortSignal): Promise<string[]> {
  const job = await answer(
    api.POST('/secrets/{id}/keys', {
      params: { path: { id }, header: { 'Idempotency-Key': newKey() } },
      body: {},
      signal,
    }),
  )
  for (const until = Date.now() + longest; ; ) {
    try {
      return (await answer(api.GET('/jobs/{id}/keys', { params: { path: { id: job.id } }, signal }))).keys
    } catch (error) {
      if (codeOf(error) !== 'job_not_finished') throw error
      if (Date.now() > until) throw new Error('No agent has answered yet. Type the names, or try again later.')
    }
    await new Promise((done) => setTimeout(done, between))
  }
}

/** submit asks for a secret. */
export const submit = (body: Submit, key: string) =>
  answer(api.POST('/requests', { params: { header: { 'Idempotency-Key': key } }, body }))
