// The words for a request. A new state or operation fails to compile until it has one.
import type { Schema } from '../api/client'

export type Request = Schema['Request']
export type RequestState = Request['state']

export type Tone = 'gray' | 'blue' | 'yellow' | 'green' | 'red' | 'violet'

export const stateWords: Record<RequestState, { label: string; tone: Tone; says: string }> = {
  awaiting_values: { label: 'Waiting for values', tone: 'violet', says: 'Another team fills in the values.' },
  pending: { label: 'Waiting for approval', tone: 'yellow', says: 'Somebody has to decide.' },
  approved: { label: 'Approved', tone: 'blue', says: 'An agent takes it next.' },
  running: { label: 'Running', tone: 'blue', says: 'An agent works on it.' },
  unknown: { label: 'Outcome unknown', tone: 'yellow', says: 'The agent fell silent; it looks at what became of it.' },
  executed: { label: 'Done', tone: 'green', says: 'It was carried out.' },
  failed: { label: 'Failed', tone: 'red', says: 'It could not be carried out.' },
  rejected: { label: 'Denied', tone: 'red', says: 'An approver said no.' },
  refused: { label: 'Values refused', tone: 'red', says: 'The other team did not fill in the values.' },
  cancelled: { label: 'Cancelled', tone: 'gray', says: 'It was taken back.' },
  expired: { label: 'Expired', tone: 'gray', says: 'Its time ran out.' },
  applied: { label: 'Live', tone: 'green', says: 'It is live in every application that uses it.' },
  rollout_failed: {
    label: 'Rollout failed',
    tone: 'red',
    says: 'It was written, and an application failed to take it.',
  },
  applied_unverified: {
    label: 'Not verified',
    tone: 'yellow',
    says: 'It was written, and nobody could tell in time whether it is live.',
  },
}

const reads = {
  ready: { label: 'Ready to open', tone: 'blue', says: 'A value waits to be opened, once.' },
  revealed: { label: 'Opened', tone: 'green', says: 'All that was read was opened.' },
  expired: { label: 'Lapsed', tone: 'gray', says: 'Nobody opened it in time.' },
} as const

/**
 * standing is the words for how a request stands. A read that was carried out is told by its values: lists
 * have none, and there it is ready if whoever looks may open one.
 */
export function standing(request: Pick<Request, 'state' | 'operation' | 'envelopes' | 'actions'>) {
  const { state, operation, envelopes, actions } = request
  if (state !== 'executed' || operation !== 'read') return stateWords[state]
  if (actions.reveal.allowed || envelopes.some((envelope) => envelope.state === 'ready')) return reads.ready
  const first = envelopes[0]?.state
  const same = envelopes.every((envelope) => envelope.state === first)
  return same && (first === 'revealed' || first === 'expired') ? reads[first] : stateWords[state]
}

/** Whether nothing can follow any more, but for opening what is ready. */
export const over = (state: RequestState): boolean =>
  [
    'executed',
    'failed',
    'rejected',
    'refused',
    'cancelled',
    'expired',
    'applied',
    'rollout_failed',
    'applied_unverified',
  ].includes(state)

/** asks is the middle of "Ana asks to read prod/db". */
export function asks(request: Pick<Request, 'operation' | 'patch' | 'fill'>): string {
  if (request.operation === 'read') return 'asks to read'
  if (request.patch?.create) return request.fill ? 'asks another team to create' : 'asks to create'
  return request.fill ? 'asks another team to change' : 'asks to change'
}

/** nameOf is a person's name; one who was erased has none. */
export const nameOf = (person: { name: string } | undefined): string => person?.name || 'Somebody who left'

type Deciders = Schema['Deciders']

/** whoDecides is a list such as "Ada, the group payments-oncall or the heads of the team". */
export function whoDecides(from: Deciders): string {
  const parts = [
    ...(from.people ?? []).map(nameOf),
    ...(from.groups ?? []).map((group) => `the group ${group}`),
    ...(from.roles ?? []).map((role) => `anybody with the role ${role}`),
    ...(from.team_heads ? ['the heads of the team'] : []),
    ...(from.owners ? ['the owners of the secret'] : []),
  ]
  if (parts.length === 0) return 'nobody'
  return new Intl.ListFormat('en', { type: 'disjunction' }).format(parts)
}
