// What the rules say of a request before it is sent, in words.
import type { Explanation } from '../../../api/asking'
import { whoDecides } from '../../../parts/requestWords'
import { span } from '../../../ui/time'

const refusals: Record<string, string> = {
  no_permission: 'None of your roles lets you ask for secrets that lie here.',
  operation_unknown: 'This cannot be done with a secret.',
  operation_not_bound: 'This is not offered for secrets that lie here.',
  keys_not_bound: 'Some of these keys are not offered here.',
  keys_needed: 'Only some keys are offered here: say which ones you need.',
  denied_by_rule: 'A rule denies it.',
  no_rule: 'No rule allows it, and what no rule allows is denied.',
  workflow_missing: 'The rule that allows it names a workflow that is not there; tell whoever keeps the policies.',
}

/** whyRefused is why it may not be asked for. */
export const whyRefused = (x: Explanation): string => refusals[x.refusal ?? ''] ?? 'The rules do not allow it.'

/** needs is "Needs 2 approvals: 1 from the group payments-oncall, then 1 from the owners of the secret". */
export function needs(x: Explanation): string {
  if (x.effect === 'reveal' || x.steps.length === 0) return 'You may read it at once: nobody has to approve it.'
  const all = x.steps.reduce((sum, step) => sum + step.approvals, 0)
  const each = x.steps.map((step) => `${step.approvals} from ${whoDecides(step.from)}`)
  if (each.length === 1)
    return `Needs ${all === 1 ? 'an approval' : `${all} approvals`} from ${whoDecides(x.steps[0]?.from ?? {})}.`
  return `Needs ${all} approvals: ${each.join(', then ')}.`
}

/** usually is how long the last ones took, or nothing if that is not known. */
export function usually(x: Explanation): string | undefined {
  return x.usual_wait && `Usually takes ${span(x.usual_wait.seconds)}.`
}

const about: Record<string, string> = { binding: 'Binding', rule: 'Rule', step: 'Step' }

/** clauseText is a clause as a sentence, with what it is about in front. */
export function clauseText(clause: Explanation['clauses'][number]): { name: string; why: string } {
  return { name: clause.about ? `${about[clause.about]} ${clause.name ?? ''}`.trim() : 'The request', why: clause.why }
}
