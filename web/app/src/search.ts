// The query of an address: plain names and values, as in any other one. Filters live there, so that an
// address shows to others what it shows here.
import { useNavigate, useSearch } from '@tanstack/react-router'

export type Search = Record<string, string | string[] | undefined>

export function parseSearch(text: string): Search {
  const query = new URLSearchParams(text)
  // Some names are everywhere in the language: an address must not bring those of its own.
  const names = [...new Set(query.keys())].filter((name) => !(name in Object.prototype))
  return Object.fromEntries(
    names.map((name) => {
      const values = query.getAll(name)
      return [name, values.length > 1 ? values : values[0]]
    }),
  )
}

export function stringifySearch(search: Search): string {
  const query = new URLSearchParams()
  for (const [name, values] of Object.entries(search)) {
    for (const value of values === undefined ? [] : [values].flat()) query.append(name, value)
  }
  return query.size > 0 ? `?${query}` : ''
}

/** one is the value of a parameter, empty if it is not there. */
export function one(search: Search, name: string): string {
  const value = search[name]
  return (Array.isArray(value) ? value[0] : value) ?? ''
}

/** many are all values of a parameter. */
export function many(search: Search, name: string): string[] {
  const value = search[name]
  return value === undefined ? [] : [value].flat()
}

/** useFilters is the query of the page's address, and how to change parts of it. An empty value takes a part away. */
export function useFilters(): [Search, (change: Search, options?: { replace?: boolean }) => void] {
  const search = useSearch({ strict: false }) as Search
  const navigate = useNavigate()
  const change = (next: Search, options: { replace?: boolean } = {}) => {
    // Of what the address is by then: changes may come close after each other.
    const merged = (before: Search) => {
      const kept: Search = {}
      for (const [name, value] of Object.entries({ ...before, ...next })) {
        if (value !== undefined && value.length > 0) kept[name] = value
      }
      return kept
    }
    void navigate({ to: '.', search: merged as never, replace: options.replace ?? false })
  }
  return [search, change]
}

/** leads is an address of paths as a Link takes it. */
export function leads(address: string): { to: string; search?: never } {
  const at = address.indexOf('?')
  return at < 0 ? { to: address } : { to: address.slice(0, at), search: parseSearch(address.slice(at)) as never }
}
