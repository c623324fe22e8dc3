// What the inventory is narrowed by: in the address of the page, and as the API takes it.
import type { Provider } from '../../api/connections'
import type { SecretFilters } from '../../api/secrets'
import { many, one, type Search } from '../../search'

/** In an address, owner or environment of this value asks for those without one. No name is like it. */
export const nobody = '-'

/** The parts of an address that narrow the list. */
export const narrowing = ['label', 'text', 'connection', 'provider', 'owner', 'environment', 'older', 'status'] as const

/** cleared takes all of them away. */
export const cleared: Search = Object.fromEntries(narrowing.map((name) => [name, undefined]))

export const isNarrowed = (search: Search): boolean => narrowing.some((name) => one(search, name) !== '')

/** What the API takes for a text: shorter ones find too much. */
export const shortestText = 3

/** filtersOf reads the address. What the API would not take is left out. */
export function filtersOf(search: Search): SecretFilters {
  const filters: SecretFilters = {}
  const label = many(search, 'label')
  if (label.length > 0) filters.label = label
  const text = one(search, 'text')
  if (text.length >= shortestText) filters.text = text
  for (const name of ['owner', 'environment'] as const) {
    const value = one(search, name)
    if (value !== '') filters[name] = value === nobody ? '' : value
  }
  const connection = one(search, 'connection')
  if (connection !== '') filters.connection = connection
  const provider = one(search, 'provider')
  if (provider !== '') filters.provider = provider as Provider
  const older = Number.parseInt(one(search, 'older'), 10)
  if (older > 0) filters.older_than_days = older
  const status = one(search, 'status')
  if (status === 'gone' || status === 'all') filters.status = status
  return filters
}

/** placeOf is where labels are counted: where the list looks, whatever else it is narrowed by. */
export function placeOf(search: Search): Pick<SecretFilters, 'connection' | 'provider'> {
  const { connection, provider } = filtersOf(search)
  return { ...(connection && { connection }), ...(provider && { provider }) }
}
