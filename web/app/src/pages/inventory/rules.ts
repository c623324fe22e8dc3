// The rules that say whose secrets are, as a list that somebody edits: the order counts.
import type { OwnershipRule } from '../../api/secrets'
import { sorted } from './labels'

/** As many as the server takes. */
export const mostRules = 200

export type Edit =
  | { do: 'add'; rule: OwnershipRule }
  | { do: 'change'; at: number; rule: OwnershipRule }
  | { do: 'remove'; at: number }
  | { do: 'move'; at: number; to: number }
  | { do: 'start'; rules: OwnershipRule[] }

/** edit is the list after an edit. A place that is not there changes nothing. */
export function edit(rules: OwnershipRule[], what: Edit): OwnershipRule[] {
  switch (what.do) {
    case 'start':
      return what.rules
    case 'add':
      return [...rules, what.rule]
    case 'change':
      return rules.map((rule, at) => (at === what.at ? what.rule : rule))
    case 'remove':
      return rules.filter((_, at) => at !== what.at)
    case 'move': {
      const moved = rules[what.at]
      if (!moved || what.to < 0 || what.to >= rules.length) return rules
      const rest = rules.filter((_, at) => at !== what.at)
      return [...rest.slice(0, what.to), moved, ...rest.slice(what.to)]
    }
  }
}

/** same reports whether two lists say the same, in the same order. */
export const same = (a: OwnershipRule[], b: OwnershipRule[]): boolean =>
  a.length === b.length && a.every((rule, at) => JSON.stringify(plain(rule)) === JSON.stringify(plain(b[at] ?? {})))

/** plain is a rule without what says nothing, in one order. */
export function plain(rule: OwnershipRule): OwnershipRule {
  const kept: OwnershipRule = {}
  for (const name of ['connection', 'prefix', 'owner', 'owner_label', 'environment', 'environment_label'] as const) {
    if (rule[name]) kept[name] = rule[name]
  }
  const labels = sorted(rule.labels ?? {})
  if (labels.length > 0) kept.labels = Object.fromEntries(labels.map(({ name, value }) => [name, value]))
  return kept
}

/** fault is what is wrong with a rule, as the server would say it (command/ownership.go); undefined if nothing is. */
export function fault(rule: OwnershipRule): string | undefined {
  if (!rule.owner && !rule.owner_label && !rule.environment && !rule.environment_label) {
    return 'Say an owner or an environment, or which label tells them.'
  }
  return undefined
}

/** matches says which secrets a rule is about. */
export function matches(rule: OwnershipRule): string {
  const parts = [
    ...(rule.connection ? [`in ${rule.connection}`] : []),
    ...(rule.prefix ? [`whose path begins with ${rule.prefix}`] : []),
    ...sorted(rule.labels ?? {}).map(({ name, value }) => `labelled ${name}: ${value}`),
  ]
  return parts.length === 0 ? 'All secrets' : `Secrets ${parts.join(', ')}`
}

/** says is what a rule says of them. */
export function says(rule: OwnershipRule): string {
  const parts = [
    ...(rule.owner ? [`belong to ${rule.owner}`] : []),
    ...(rule.owner_label ? [`belong to whom the label ${rule.owner_label} names`] : []),
    ...(rule.environment ? [`serve ${rule.environment}`] : []),
    ...(rule.environment_label ? [`serve what the label ${rule.environment_label} names`] : []),
  ]
  return parts.join(' and ')
}
