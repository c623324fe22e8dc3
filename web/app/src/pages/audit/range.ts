// Which time the audit is looked at: a part of the address.
import { one, type Search } from '../../search'

const hour = 3_600_000

/** Times that end now, and everything. */
export const ranges = {
  '1h': { label: 'Last hour', last: hour },
  '24h': { label: 'Last day', last: 24 * hour },
  '7d': { label: 'Last 7 days', last: 7 * 24 * hour },
  '30d': { label: 'Last 30 days', last: 30 * 24 * hour },
  any: { label: 'Any time', last: 0 },
} as const

export type Range = keyof typeof ranges | 'custom'

export interface Times {
  range: Range
  since?: string
  until?: string
}

/** Who looks at one thing wants all of it. */
const narrow = ['stream', 'correlation', 'secret']

/** timesOf reads an address. What it does not say, or says wrong, is the last 30 days, or any time of one thing. */
export function timesOf(search: Search, now: number): Times {
  const since = instant(one(search, 'since'))
  const until = instant(one(search, 'until'))
  if (since || until) return { range: 'custom', ...(since && { since }), ...(until && { until }) }
  const asked = one(search, 'range')
  const usual = narrow.some((name) => one(search, name)) ? 'any' : '30d'
  const range = Object.hasOwn(ranges, asked) ? (asked as keyof typeof ranges) : usual
  const { last } = ranges[range]
  return last === 0 ? { range } : { range, since: new Date(now - last).toISOString() }
}

/** instant is a time of the address in UTC, or empty if it is none. */
function instant(text: string): string {
  const at = Date.parse(text)
  return text && Number.isFinite(at) ? new Date(at).toISOString() : ''
}

/** toInput is a time as an input of local date and time has it, to the minute. */
export function toInput(at: string | undefined): string {
  if (!at) return ''
  const date = new Date(at)
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}

/** fromInput is what was put into one, in UTC; empty if it is none. */
export const fromInput = (text: string): string => instant(text)
