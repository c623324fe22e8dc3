// The ways to look at requests, as the address has them: `?show=open&mine=true&connection=vault`.
import type { RequestFilters, RequestState } from '../../api/requests'
import { many, one, type Search } from '../../search'

export type View = 'all' | 'open' | 'asked' | 'done' | 'ended' | 'review'

interface Words {
  label: string
  filters: RequestFilters
  /** What it means that there is none. */
  none: string
}

const open: RequestState[] = ['awaiting_values', 'pending', 'approved', 'running', 'unknown']
const ended: RequestState[] = ['failed', 'rejected', 'refused', 'cancelled', 'expired']

export const views: Record<View, Words> = {
  all: { label: 'All', filters: {}, none: 'Nobody has asked for a secret yet.' },
  open: { label: 'Open', filters: { state: open }, none: 'Nothing is under way.' },
  asked: { label: 'Waiting for me', filters: { asked: 'me' }, none: 'Nothing waits for you.' },
  done: { label: 'Done', filters: { state: ['executed'] }, none: 'Nothing was carried out yet.' },
  ended: {
    label: 'Not carried out',
    filters: { state: ended },
    none: 'Nothing failed, was denied or ran out of time.',
  },
  review: {
    label: 'To be reviewed',
    filters: { review: ['pending', 'overdue'] },
    none: 'Nothing that went without approval is still to be reviewed.',
  },
}

export const viewOf = (search: Search): View => {
  const name = one(search, 'show')
  return name in views ? (name as View) : 'all'
}

/** The further filters, each a text in the address, and what it is called. */
export const narrowing = {
  connection: 'Connection',
  project: 'Project',
  environment: 'Environment',
  operation: 'Operation',
  secret: 'Secret',
} as const

export type Narrowing = keyof typeof narrowing

export const operations: Record<NonNullable<RequestFilters['operation']>, string> = {
  read: 'Read',
  patch: 'Change or create',
}

/** narrowed are the further filters that are set. */
export const narrowed = (search: Search): [Narrowing, string][] =>
  (Object.keys(narrowing) as Narrowing[]).flatMap((name) => {
    const value = one(search, name)
    return value ? [[name, value] as [Narrowing, string]] : []
  })

/** filtersOf is what the server is asked for. Whoever may see only their own is not asked whose. */
export function filtersOf(search: Search, everybody: boolean): RequestFilters {
  const view = views[viewOf(search)].filters
  const states = many(search, 'state') as RequestState[] // an exact one, of a link
  const filters: RequestFilters = { ...view, ...(states.length > 0 && { state: states }) }
  for (const [name, value] of narrowed(search)) Object.assign(filters, { [name]: value })
  if (filters.operation && !(filters.operation in operations)) delete filters.operation
  if (everybody && one(search, 'mine') === 'true') filters.mine = true
  return filters
}
