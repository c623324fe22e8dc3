// Requests for tests of the words about them.
import type { Event, Request } from '../../api/requests'

const no = { allowed: false }

export const dana = { id: 'u_dana', name: 'Dana' }
export const ada = { id: 'u_ada', name: 'Ada' }
export const olu = { id: 'u_olu', name: 'Olu' }

/** A step that needs one approval. */
export const step: Request['steps'][number] = {
  id: 'approve',
  role: '',
  from: { roles: ['approver'] },
  approvals: 1,
  given: 0,
}

/** A read that waits for one approval, or whatever it is made into. */
export function request(change: Partial<Request> = {}): Request {
  return {
    id: 'r_1',
    state: 'pending',
    operation: 'read',
    secret: 'file/prod/db/password',
    connection: 'file',
    cluster: 'demo',
    ref: 'prod/db/password',
    keys: [],
    reason: 'restore the backup of Monday',
    requester: dana,
    steps: [step],
    votes: [],
    submitted_at: '2026-11-24T10:00:00Z',
    pending_until: '2026-11-25T10:00:00Z',
    envelopes: [],
    place: {},
    actions: { approve: no, reject: no, cancel: no, provide: no, refuse: no, review: no, reveal: no },
    rule: 'reads',
    workflow: 'one-approval',
    seq: 1,
    ...change,
  }
}

/** A change of a secret with these effects. */
export function patch(change: Partial<NonNullable<Request['patch']>> = {}): NonNullable<Request['patch']> {
  return {
    create: false,
    reapprove: 'touched_keys',
    changes: [],
    comparison: { number: 1, at: '2026-11-24T10:00:01Z', exists: true, version: '3' },
    changed: false,
    voided: 0,
    ...change,
  }
}

/** A fact of it. */
export function fact(kind: string, data: Event['data'] = {}, change: Partial<Event> = {}): Event {
  return {
    seq: 1,
    index: 0,
    id: `c_1.${kind}`,
    type: `sb.request.${kind}.v1`,
    stream: 'request/r_1',
    time: '2026-11-24T10:00:00Z',
    actor: 'system:sweeper',
    correlation: 'x_1',
    command: 'c_1',
    data,
    ...change,
  }
}
