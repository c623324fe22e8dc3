// What has to hold for a request, one line each, as checks are shown on a pull request.
import type { Schema } from '../../api/client'
import type { Request } from '../../api/requests'
import { nameOf, over, whoDecides } from '../requestWords'

export interface Check {
  id: string
  mark: 'pass' | 'wait' | 'fail' | 'note'
  title: string
  says: string
  /** The condition of a rule, as it is written. */
  cel?: string | undefined
}

type Explanation = Schema['Explanation']
type Clause = Explanation['clauses'][number]

/** checks are what the request itself knows: which rule let it in, who has to agree, and whether they did. */
export function checks(request: Request): Check[] {
  const found: Check[] = []
  if (request.rule) {
    found.push({
      id: 'rule',
      mark: 'pass',
      title: `Rule ${request.rule}`,
      says: request.direct
        ? 'lets the requester read at once'
        : `allows it with the approvals of the workflow ${request.workflow ?? ''}`.trim(),
    })
  }
  if (request.ticket) found.push({ id: 'ticket', mark: 'pass', title: 'Ticket', says: request.ticket })
  if (request.glass) found.push(glass(request.glass))
  const refused = request.votes.find((vote) => vote.decision === 'rejected')
  if (!request.glass && !request.direct) {
    for (const step of request.steps) {
      const full = step.given >= step.approvals
      const denied = refused?.step === step.id
      const missing = step.approvals - step.given
      found.push({
        id: `step ${step.id}`,
        mark: denied ? 'fail' : full ? 'pass' : over(request.state) ? 'note' : 'wait',
        title: `Step ${step.id}`,
        says: denied
          ? `was denied by ${nameOf(refused.approver)}`
          : full
            ? `has its ${step.approvals === 1 ? 'approval' : `${step.approvals} approvals`}`
            : over(request.state)
              ? `had ${step.given} of ${step.approvals} approvals when the request ended`
              : `needs ${missing} more ${missing === 1 ? 'approval' : 'approvals'}, from ${whoDecides(step.from)}`,
      })
    }
    if (request.veto && !over(request.state)) {
      found.push({
        id: 'veto',
        mark: 'note',
        title: 'Veto',
        says: `${whoDecides(request.veto)} may deny it at any step`,
      })
    }
  }
  if (request.patch) found.push(comparison(request.patch, over(request.state)))
  return found
}

function glass({ review, review_until: _, outcome, by, reviewers }: NonNullable<Request['glass']>): Check {
  const check = { id: 'glass', title: 'Break-glass' }
  if (review === 'done') {
    return {
      ...check,
      mark: outcome === 'justified' ? 'pass' : 'fail',
      says: `${nameOf(by)} found it ${outcome === 'justified' ? 'justified' : 'not justified'}`,
    }
  }
  return {
    ...check,
    mark: review === 'overdue' ? 'fail' : 'wait',
    says: `went without approval; ${whoDecides(reviewers)} ${review === 'overdue' ? 'should have reviewed it by now' : 'has to review it'}`,
  }
}

function comparison(patch: NonNullable<Request['patch']>, ended: boolean): Check {
  const check = { id: 'comparison', title: 'Comparison' }
  if (!patch.comparison) {
    return {
      ...check,
      mark: ended ? 'note' : 'wait',
      says: ended ? 'no agent looked at the secret' : 'an agent has yet to look at the secret',
    }
  }
  if (patch.comparison.problem) return { ...check, mark: 'fail', says: patch.comparison.problem.detail }
  return patch.voided > 0 || patch.changed
    ? { ...check, mark: 'wait', says: 'the secret changed since it was first looked at, and was compared again' }
    : { ...check, mark: 'pass', says: 'the secret is as it was when it was first looked at' }
}

const marks: Record<Clause['outcome'], Check['mark']> = {
  decided: 'pass',
  fits: 'pass',
  scope: 'note',
  operation: 'note',
  condition: 'note',
  failed: 'fail',
  withheld: 'note',
  disabled: 'note',
}

const kinds: Record<NonNullable<Clause['about']>, string> = { binding: 'Binding', rule: 'Rule', step: 'Step' }

/** clauses are what the policy says of it as it counts now, which may be another one than when it was asked for. */
export function clauses(explanation: Explanation): Check[] {
  return explanation.clauses.map((clause, index) => ({
    id: `clause ${index}`,
    mark:
      clause.outcome === 'decided' && (clause.effect === 'deny' || !explanation.allowed)
        ? 'fail'
        : marks[clause.outcome],
    title: [clause.about ? kinds[clause.about] : 'The request', clause.name].filter(Boolean).join(' '),
    says: clause.why,
    cel: clause.when,
  }))
}
