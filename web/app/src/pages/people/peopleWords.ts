// Words for people and what they have.
import type { Account } from '../../api/people'
import type { Tone } from '../../parts/requestWords'

/** standingOf is whether somebody can come in. */
export function standingOf(person: Pick<Account, 'state' | 'password' | 'signed_in_at'>): {
  label: string
  tone: Tone
} {
  if (person.state === 'disabled') return { label: 'Kept out', tone: 'red' }
  if (!person.password && !person.signed_in_at) return { label: 'Invited', tone: 'yellow' }
  return { label: 'Active', tone: 'green' }
}

/** rolesOf names each role once; "here and there" is told on the person's page. */
export function rolesOf(person: Pick<Account, 'grants'>): string {
  const names = [...new Set(person.grants.map((grant) => grant.role))].sort()
  return names.length > 0 ? names.join(', ') : 'none'
}

const factors: Record<string, string> = { passkey: 'passkey', totp: 'authenticator app' }

export function factorsOf(person: Pick<Account, 'factors'>): string {
  const names = [...new Set(person.factors.map((kind) => factors[kind] ?? kind))]
  return names.length > 0 ? names.join(', ') : 'none'
}
