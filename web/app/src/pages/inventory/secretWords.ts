// The words for a secret of the inventory.
import type { Secret } from '../../api/secrets'
import type { Tone } from '../../parts/requestWords'

/** When a secret is old: what the report of old secrets takes unless told, in days. */
export const staleDays = 90

/** When it is very old, in days. */
const veryStaleDays = 365

export interface Rotation {
  /** A few words, for a column. */
  label: string
  /** A sentence. */
  says: string
  tone: Tone
}

/** rotation says how long ago a secret was changed, and what to think of it. */
export function rotation(secret: Pick<Secret, 'age_days' | 'updated_at' | 'created_at'>): Rotation {
  const { age_days: days } = secret
  if (days === undefined) {
    return { label: 'not known', says: 'The store does not tell when it was changed.', tone: 'gray' }
  }
  const never = secret.updated_at === undefined || secret.updated_at === secret.created_at
  const when = days === 0 ? 'today' : `${age(days)} ago`
  const says = never ? `Made ${when}, and not changed since.` : `Changed ${when}.`
  if (days >= veryStaleDays) return { label: age(days), says: `${says} That is very long.`, tone: 'red' }
  if (days >= staleDays) return { label: age(days), says: `${says} That is long.`, tone: 'yellow' }
  return { label: days === 0 ? 'today' : age(days), says, tone: 'gray' }
}

/** age is a number of days in the unit that one would say. */
export function age(days: number): string {
  if (days < 60) return many(days, 'day')
  if (days < 730) return many(Math.floor(days / 30.44), 'month')
  return many(Math.floor(days / 365.25), 'year')
}

const numbers = new Intl.NumberFormat('en')

/** many is "1 secret" or "1,204 secrets". */
export function many(n: number, what: string): string {
  return `${numbers.format(n)} ${what}${n === 1 ? '' : 's'}`
}

/** counted is how many there are, and honest about what was not counted to the end. */
export function counted({ count, exact }: { count: number; exact: boolean }): string {
  return exact ? many(count, 'secret') : `more than ${many(count, 'secret')}`
}

/** fromWords says who said something about a secret. */
export const fromWords: Record<NonNullable<Secret['owner_from']>, string> = {
  hand: 'said by hand',
  rule: 'said by a rule',
}
