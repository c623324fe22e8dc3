// The order in which rules decide, as docs/reference/policy.md says it: refusals whatever their
// priority, then the highest priority, then the most specific scope, then the first by name.
import type { Scope } from '../../api/governance'
import type { Team, Typed } from './objects'

type RuleThing = Typed<'Rule'>

export interface RuleGroup {
  id: string
  title: string
  says: string
  rules: RuleThing[]
}

/** depthOf is how far below its root a team lies; the deeper one is nearer to its secrets. */
export function depthOf(team: string, teams: Map<string, Team>): number {
  let depth = 0
  for (let at: string | undefined = team; at && depth < 50; at = teams.get(at)?.parent) depth++
  return depth
}

/** moreSpecific orders scopes, the most specific first; 0 if nothing tells them apart. */
export function moreSpecific(a: Scope = {}, b: Scope = {}, teams: Map<string, Team> = new Map()): number {
  const place = (s: Scope) => (s.project ? (s.environment ? 3 : 2) : s.environment ? 1 : 0)
  const marks = (s: Scope) => [
    new TextEncoder().encode(s.prefix ?? '').length,
    s.connection ? 1 : 0,
    place(s),
    s.team ? depthOf(s.team, teams) : 0,
    s.environment_kind ? 1 : 0,
  ]
  const ours = marks(a)
  const theirs = marks(b)
  for (const [i, mark] of ours.entries()) {
    const other = theirs[i] ?? 0
    if (mark !== other) return other - mark
  }
  return 0
}

/** inOrder groups rules by how they decide. */
export function inOrder(rules: RuleThing[], teams: Map<string, Team>): RuleGroup[] {
  const byName = (a: RuleThing, b: RuleThing) => (a.name < b.name ? -1 : 1)
  const sorted = (list: RuleThing[]) =>
    list.toSorted((a, b) => moreSpecific(a.spec.scope, b.spec.scope, teams) || byName(a, b))
  const on = rules.filter((r) => !r.spec.disabled)
  const groups: RuleGroup[] = []
  const add = (id: string, title: string, says: string, list: RuleThing[]) => {
    if (list.length > 0) groups.push({ id, title, says, rules: sorted(list) })
  }
  add(
    'deny',
    'Refusals come first',
    'One that fits refuses, whatever its priority and whatever else allows.',
    on.filter((r) => r.spec.effect === 'deny'),
  )
  const others = on.filter((r) => r.spec.effect !== 'deny')
  const priorities = [...new Set(others.map((r) => r.spec.priority ?? 0))].sort((a, b) => b - a)
  for (const [i, priority] of priorities.entries()) {
    add(
      `p${priority}`,
      `Priority ${priority}`,
      i === 0
        ? 'Of those that fit, the one with the most specific scope counts: they stand in that order.'
        : 'Looked at only if nothing above fits; again the most specific one counts.',
      others.filter((r) => (r.spec.priority ?? 0) === priority),
    )
  }
  add(
    'off',
    'Switched off',
    'They do not count.',
    rules.filter((r) => r.spec.disabled),
  )
  return groups
}
