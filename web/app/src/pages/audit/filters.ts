import type { AuditQuery } from '../../api/audit'
import { one, type Search } from '../../search'
import { timesOf } from './range'

/** The server looks for no shorter text. */
export const shortestText = 3

/** The filters that are taken from the address as they are. */
const plain = ['actor', 'type', 'stream', 'correlation', 'secret'] as const

/** queryOf is what an address asks of the audit. Now is the time of the look. */
export function queryOf(search: Search, now: number): AuditQuery {
  const query: AuditQuery = {}
  for (const name of plain) {
    const value = one(search, name)
    if (value) query[name] = value
  }
  const outcome = one(search, 'outcome')
  if (outcome === 'done' || outcome === 'denied') query.outcome = outcome
  const text = one(search, 'text')
  if ([...text].length >= shortestText) query.text = text
  const { since, until } = timesOf(search, now)
  return { ...query, ...(since && { since }), ...(until && { until }) }
}

/** without leaves filters out: a facet shows what else there would be. */
export function without(query: AuditQuery, ...names: (keyof AuditQuery)[]): AuditQuery {
  return Object.fromEntries(Object.entries(query).filter(([name]) => !names.includes(name as keyof AuditQuery)))
}

/** drawn is a query for the histogram, which is drawn up to the look, and not to the end of a day that has yet to come. */
export function drawn(query: AuditQuery, look: number): AuditQuery {
  return query.since && !query.until ? { ...query, until: new Date(look).toISOString() } : query
}
