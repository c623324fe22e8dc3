// What a field of an object is called where people read of it. A field without words of its own is
// shown by its name: none is hidden.
import { span } from '../../ui/time'

const words: Record<string, string> = {
  approval_ttl_seconds: 'an approval is good for',
  approvals: 'people who must agree',
  at: 'at',
  break_glass: 'doing without approval',
  claim: 'group of the identity provider',
  environment_kind: 'kind of environment',
  escalate_after_seconds: 'escalates after',
  fallback: 'then also',
  from: 'from',
  min_length: 'shortest reason, in characters',
  owners: 'owners of the secret',
  pending_ttl_seconds: 'must be approved within',
  reapprove: 'approvals end when the secret changes',
  remind_after_seconds: 'reminds after',
  reveal_ttl_seconds: 'values can be opened for',
  review_within_seconds: 'review within',
  step_up: 'second factor',
  step_up_fresh_seconds: 'a second factor stays fresh for',
  team_heads: 'heads of the team',
  ticket: 'form of the ticket',
  when: 'condition',
}

/** wordsOf is a path in words: "steps[approve].from.team_heads" is "steps approve · from · heads of the team". */
export function wordsOf(field: string): string {
  return field
    .split('.')
    .map((part) => {
      const [, name = part, item] = /^([^[]*)\[(.*)\]$/.exec(part) ?? []
      const said = words[name] ?? name.replaceAll('_', ' ')
      return item === undefined ? said : `${said} ${item}`
    })
    .join(' · ')
}

/** saidOf is a value as people read it. */
export function saidOf(field: string, value: string, nameOf: (id: string) => string): string {
  if (/_seconds$/.test(field) && /^\d+$/.test(value)) return span(Number(value))
  if (/^u_[0-9a-z]{26}$/.test(value)) return nameOf(value)
  if (value === 'true') return 'yes'
  return value
}
