// Scopes, rules and approvers in sentences.
import type { Approvers, Scope } from '../../api/governance'
import { span } from '../../ui/time'
import type { Rule } from './objects'

export const join = (parts: string[], type: 'conjunction' | 'disjunction' = 'conjunction'): string =>
  new Intl.ListFormat('en', { type }).format(parts)

/** where is what a scope covers: "secrets of payments / prod", "any secret". */
export function where(scope: Scope | undefined): string {
  const s = scope ?? {}
  const parts: string[] = []
  if (s.project) parts.push(s.environment ? `of ${s.project} / ${s.environment}` : `of the project ${s.project}`)
  else if (s.environment) parts.push(`of environments named ${s.environment}`)
  if (s.environment_kind) parts.push(s.environment_kind === 'prod' ? 'in production' : 'outside of production')
  if (s.team) parts.push(`of the team ${s.team} and the teams below it`)
  if (s.prefix) parts.push(`below ${s.connection ?? '?'}/${s.prefix}`)
  else if (s.connection) parts.push(`of the connection ${s.connection}`)
  if (parts.length === 0) return 'any secret'
  return `secrets ${join(parts)}`
}

/** reach is how far a role goes: "everywhere", or what its scope covers. */
export const reach = (scope: Scope | undefined): string =>
  Object.keys(scope ?? {}).length === 0 ? 'everywhere' : where(scope)

/** does is what an operation list is about: "read and change". */
export function does(operations: string[] | undefined): string {
  const words: Record<string, string> = { read: 'read', patch: 'change' }
  const list = operations && operations.length > 0 ? operations : ['read', 'patch']
  return join(
    list
      .slice()
      .sort((a, b) => b.localeCompare(a)) // read before patch
      .map((o) => words[o] ?? o),
    'disjunction',
  )
}

export const effectWords: Record<'deny' | 'require' | 'reveal', { label: string; tone: string }> = {
  deny: { label: 'Refuses', tone: 'red' },
  require: { label: 'Needs approval', tone: 'indigo' },
  reveal: { label: 'Reads at once', tone: 'violet' },
}

/** sentenceOf is what a rule says, without its condition: that is shown as it was written. */
export function sentenceOf(rule: Rule): string {
  const place = where(rule.scope)
  const what = does(rule.operations)
  const only = rule.when ? ', when its condition holds' : ''
  switch (rule.effect) {
    case 'deny':
      return `Nobody may ${what} ${place}${only}.`
    case 'reveal':
      return `Whoever may ask reads ${place} at once, with a second factor${
        rule.reveal_ttl_seconds ? `, for ${span(rule.reveal_ttl_seconds)}` : ''
      }${only}. Never in production.`
    case 'require':
      return `Whoever may ask may ${what} ${place} once ${
        rule.workflow ? `the workflow ${rule.workflow}` : 'a workflow that is still to be named'
      } has approved${only}.`
    default:
      return 'It has no effect yet.'
  }
}

/** nobody reports whether approvers name nobody at all. */
export const nobody = (from: Approvers | undefined): boolean =>
  !from ||
  ((from.people ?? []).length + (from.groups ?? []).length + (from.roles ?? []).length === 0 &&
    !from.team_heads &&
    !from.owners)

/** approversOf is a list such as "Ada, the group payments-oncall or the heads of the team". */
export function approversOf(from: Approvers | undefined, nameOf: (id: string) => string): string {
  if (nobody(from)) return 'nobody'
  const f = from ?? {}
  return join(
    [
      ...(f.people ?? []).map(nameOf),
      ...(f.groups ?? []).map((group) => `the group ${group}`),
      ...(f.roles ?? []).map((role) => `anybody with the role ${role}`),
      ...(f.team_heads ? ['the heads of the team'] : []),
      ...(f.owners ? ['the owners of the secret'] : []),
    ],
    'disjunction',
  )
}

/** needed is what a step asks for: "2 approvals from the heads of the team". */
export const needed = (n: number, from: Approvers | undefined, nameOf: (id: string) => string): string =>
  `${n === 1 ? '1 approval' : `${n} approvals`} from ${approversOf(from, nameOf)}`

/** people is a count in words: "2 different people", "one person". */
export const people = (n: number): string => (n === 1 ? 'one person' : `${n} different people`)
