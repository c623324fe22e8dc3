// What became of an ask, in sentences.
import type { Explanation, Simulation } from '../../api/governance'
import { people } from './words'

type Way = Simulation['changes'][number]['before']

const refusals: Record<string, string> = {
  no_permission: 'the person may not ask there',
  operation_unknown: 'there is no such operation',
  operation_not_bound: 'the binding does not offer the operation',
  keys_not_bound: 'the binding does not offer one of the keys',
  keys_needed: 'the binding lists keys, so the request must name those it is about',
  denied_by_rule: 'a rule refuses it',
  no_rule: 'no rule allows it, and without one it is refused',
  workflow_missing: 'the workflow of the rule is not there',
}

export const refusalOf = (code: string | undefined): string => refusals[code ?? ''] ?? 'it is refused'

/** verdictOf is an explanation in a sentence. */
export function verdictOf(x: Explanation): string {
  if (!x.allowed) return `Refused: ${refusalOf(x.refusal)}${x.rule ? ` (${x.rule})` : ''}.`
  if (x.effect === 'reveal') return `Allowed at once, by the rule ${x.rule}, with a second factor.`
  const approvals = x.steps.reduce((sum, step) => sum + step.approvals, 0)
  return `Allowed once ${people(approvals)} approved: the rule ${x.rule} leads to the workflow ${x.workflow}.`
}

/** wayOf is where a request leads, in a few words. */
export function wayOf(way: Way): string {
  if (!way.allowed) return `refused: ${refusalOf(way.refusal)}`
  if (way.direct) return `read at once by ${way.rule}`
  return `${way.workflow} by ${way.rule}, ${way.approvals === 1 ? '1 approval' : `${way.approvals} approvals`}`
}
