// How far a request is, as a row of stages. A stage is only done when the server said so.
import type { Request } from '../../api/requests'
import { nameOf, over, whoDecides } from '../requestWords'
import { whole } from './rolloutWords'

export interface Stage {
  id: string
  title: string
  /** stopped: it ended here. skipped: it was not needed. */
  state: 'done' | 'now' | 'later' | 'stopped' | 'skipped'
  /** How it stands, in a few words: "1 of 2". */
  says: string
  /** Who may do it, or when it was done. */
  more?: string | undefined
  /** When it was done. */
  at?: string | undefined
  /** When it ends if nothing happens. */
  until?: string | undefined
}

/** stages are all stages of a request, the first first. */
export function stages(request: Request): Stage[] {
  return [
    { id: 'submitted', title: 'Asked', state: 'done', says: nameOf(request.requester), at: request.submitted_at },
    ...values(request),
    ...approvals(request),
    execution(request),
    ...opening(request),
    ...rollout(request),
  ]
}

function values({ fill, state }: Request): Stage[] {
  if (!fill) return []
  const stage = { id: 'values', title: 'Values' }
  if (fill.refused) return [{ ...stage, state: 'stopped', says: `Refused by ${nameOf(fill.by)}`, at: fill.at }]
  if (fill.by) return [{ ...stage, state: 'done', says: nameOf(fill.by), at: fill.at }]
  if (over(state)) return [{ ...stage, state: 'stopped', says: ended(state) }]
  return [{ ...stage, state: 'now', says: 'Waiting', more: `The team ${fill.team} fills them in`, until: fill.until }]
}

function approvals(request: Request): Stage[] {
  if (request.direct) {
    return [
      {
        id: 'approval',
        title: 'Approval',
        state: 'skipped',
        says: 'Not needed',
        more: 'A rule lets it be read at once',
      },
    ]
  }
  if (request.glass) {
    return [{ id: 'approval', title: 'Approval', state: 'skipped', says: 'Done without', more: 'Break-glass' }]
  }
  const refused = request.votes.find((vote) => vote.decision === 'rejected')
  let open = request.state === 'pending'
  return request.steps.map((step): Stage => {
    const stage = { id: `step ${step.id}`, title: request.steps.length > 1 ? titled(step.id) : 'Approval' }
    const count = `${step.given} of ${step.approvals}`
    if (step.given >= step.approvals && refused?.step !== step.id) {
      return { ...stage, state: 'done', says: count, more: approvers(request, step.id), at: lastVote(request, step.id) }
    }
    if (refused?.step === step.id) {
      return { ...stage, state: 'stopped', says: `Denied by ${nameOf(refused.approver)}`, at: refused.at }
    }
    const who =
      whoDecides(step.from) + (step.escalated && step.fallback ? `, now also ${whoDecides(step.fallback)}` : '')
    const now = open
    open = false
    if (now) return { ...stage, state: 'now', says: count, more: capital(who), until: request.pending_until }
    if (over(request.state) && !request.approved_at) return { ...stage, state: 'later', says: ended(request.state) }
    return { ...stage, state: 'later', says: count, more: capital(who) }
  })
}

function execution(request: Request): Stage {
  const stage = { id: 'execution', title: request.operation === 'read' ? 'Read' : 'Written' }
  const agent = request.attempt && request.attempt > 1 ? `Attempt ${request.attempt}` : undefined
  switch (request.state) {
    case 'approved':
      return { ...stage, state: 'now', says: 'Waits for an agent', more: request.waiting, until: request.until }
    case 'running':
      return {
        ...stage,
        state: 'now',
        says: 'An agent works on it',
        more: agent ?? request.waiting,
        until: request.until,
      }
    case 'unknown':
      return { ...stage, state: 'now', says: 'Not known yet', more: 'An agent looks at what became of it' }
    case 'executed':
    case 'applied':
    case 'rollout_failed':
    case 'applied_unverified':
      return {
        ...stage,
        state: 'done',
        says: request.patch?.outcome === 'unchanged' ? 'Was so already' : 'Done',
        at: request.ended_at,
      }
    case 'failed':
      return { ...stage, state: 'stopped', says: 'Failed', at: request.ended_at }
    case 'cancelled':
    case 'expired':
      return { ...stage, state: request.approved_at ? 'stopped' : 'later', says: ended(request.state) }
    default:
      return { ...stage, state: 'later', says: over(request.state) ? 'Does not happen' : 'Afterwards' }
  }
}

/** Of a change that applications are watched for. */
function rollout({ rollout, state }: Request): Stage[] {
  if (!rollout) return []
  const stage = { id: 'rollout', title: 'Live', says: whole(rollout) }
  if (rollout.state === 'watching') return [{ ...stage, state: 'now', until: rollout.until }]
  return [{ ...stage, state: state === 'applied' ? 'done' : 'stopped' }]
}

function opening(request: Request): Stage[] {
  if (request.operation !== 'read') return []
  const stage = { id: 'opened', title: 'Opened' }
  const all = request.envelopes
  if (request.state !== 'executed' || all.length === 0) {
    return [
      {
        ...stage,
        state: 'later',
        says: over(request.state) && request.state !== 'executed' ? 'Does not happen' : 'Once',
      },
    ]
  }
  const shown = all.filter((envelope) => envelope.state === 'revealed')
  const opened = shown.length
  const ready = all.filter((envelope) => envelope.state === 'ready')
  const says = `${opened} of ${all.length}`
  if (ready.length > 0) {
    const until = ready.map((envelope) => envelope.expires).sort()[0]
    return [
      {
        ...stage,
        state: 'now',
        says,
        more: `${nameOf(request.requester)} opens ${all.length === 1 ? 'it' : 'them'}`,
        until,
      },
    ]
  }
  if (opened === 0) return [{ ...stage, state: 'stopped', says: 'Never opened' }]
  const at = shown
    .map((envelope) => envelope.at)
    .sort()
    .at(-1)
  return [{ ...stage, state: 'done', says, at }]
}

/** approvers are the names of who approved a step. */
function approvers(request: Request, step: string): string | undefined {
  const votes = request.votes.filter((vote) => vote.step === step && vote.decision === 'approved')
  return votes.length > 0 ? votes.map((vote) => nameOf(vote.approver)).join(', ') : undefined
}

const lastVote = (request: Request, step: string): string | undefined =>
  request.votes.filter((vote) => vote.step === step && vote.decision === 'approved').at(-1)?.at

const endings: Partial<Record<Request['state'], string>> = {
  cancelled: 'Taken back',
  expired: 'Ran out of time',
  rejected: 'Does not happen',
  refused: 'Does not happen',
}

const ended = (state: Request['state']): string => endings[state] ?? 'Does not happen'

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** titled is a name such as `team-leads` as a title. */
const titled = (name: string): string => capital(name.replaceAll('-', ' '))
