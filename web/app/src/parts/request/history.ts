// The facts of a request as sentences. A person reads them, so they have names and no codes.
import type { Event, Request } from '../../api/requests'
import { nameOf, type Tone } from '../requestWords'

export interface Told {
  id: string
  at: string
  says: string
  /** What the person said with it, in their own words. */
  comment?: string | undefined
  tone: Tone
  /** The intention that set it in motion; the audit finds the rest of it by this. */
  correlation: string
}

/** The names of people by id, as far as they are known. */
export type Names = ReadonlyMap<string, string>

/** namesIn are the names that a request and its facts have. */
export function namesIn(request: Request, events: readonly Event[]): Names {
  const names = new Map<string, string>()
  const add = (person: { id: string; name: string } | undefined) => person && names.set(person.id, person.name)
  add(request.requester)
  for (const vote of request.votes) [vote.approver, ...(vote.via ?? [])].forEach(add)
  add(request.fill?.by)
  add(request.glass?.by)
  for (const event of events) {
    if (event.actor_name) names.set(event.actor.slice(event.actor.indexOf(':') + 1), event.actor_name)
  }
  return names
}

/** What a sentence is made of. */
interface Of {
  /** Who caused it. */
  who: string
  data: Record<string, unknown>
  name: (id: unknown) => string
  request: Request
}

type Sentence = (of: Of) => { says: string; tone?: Tone; comment?: unknown }

const sentences: Record<string, Sentence> = {
  submitted: ({ who, request, data }) => ({
    says: `${who} asked to ${request.operation === 'read' ? 'read' : data.create ? 'create' : 'change'} ${request.secret}.`,
    comment: data.reason,
    tone: 'blue',
  }),
  approval_given: ({ data, name, request }) => ({
    says: `${voice(data, name)} approved${step(data.step, request)}.`,
    comment: data.comment,
    tone: 'green',
  }),
  approved: () => ({ says: 'All approvals are there, and an agent may begin.', tone: 'green' }),
  rejected: ({ data, name, request }) => ({
    says: `${voice(data, name)} denied it${step(data.step, request)}.`,
    comment: data.comment,
    tone: 'red',
  }),
  cancelled: ({ who, data }) => ({ says: `${who} took the request back.`, comment: data.comment }),
  expired: ({ data }) => ({ says: `Its time ran out while it ${waited[String(data.from)] ?? 'was waiting'}.` }),
  job_started: ({ data }) => ({
    says:
      Number(data.attempt) > 1
        ? `An agent took it, for the ${ordinal(Number(data.attempt))} time.`
        : 'An agent took it.',
    tone: 'blue',
  }),
  lease_lost: () => ({ says: 'The agent fell silent, so another attempt follows.', tone: 'yellow' }),
  envelope_stored: ({ data }) => ({
    says: `The value of ${data.key} is sealed and ready to be opened once.`,
    tone: 'blue',
  }),
  executed: ({ request, data }) => ({ says: done(request, data.outcome), tone: 'green' }),
  failed: ({ data }) => ({
    says: `It failed: ${text(data.detail)?.replace(/\.$/, '') ?? 'nobody said why'}.`,
    tone: 'red',
  }),
  envelope_revealed: ({ data, name }) => ({
    says: `${name(data.by)} opened the value of ${data.key}.`,
    tone: 'violet',
  }),
  reveal_failed: () => ({
    says: 'A value was taken out to be shown, but it could not be opened. It is gone.',
    tone: 'red',
  }),
  envelope_expired: ({ data }) => ({ says: `Nobody opened the value of ${data.key} in time, so it was destroyed.` }),
  patch_compared: ({ data }) => ({
    says: data.problem
      ? 'An agent looked at the secret, and could not compare it.'
      : data.exists
        ? 'An agent compared it with the secret as it stands.'
        : 'An agent looked: the secret does not exist yet.',
    tone: data.problem ? 'yellow' : 'gray',
  }),
  approvals_voided: () => ({
    says: 'The secret changed, so the approvals of before no longer count.',
    tone: 'yellow',
  }),
  envelope_delivered: ({ data }) => ({ says: `The new value of ${data.key} was handed to the agent, sealed.` }),
  write_begun: () => ({ says: 'The agent began to write.', tone: 'blue' }),
  outcome_unknown: () => ({
    says: 'Nobody saw whether it was written, so an agent looks at the secret.',
    tone: 'yellow',
  }),
  rollout_begun: ({ data }) => ({
    says: `Every application that uses the secret is watched, ${(data.watches as unknown[] | undefined)?.length ?? 0} in all.`,
    tone: 'blue',
  }),
  rollout_observed: () => ({ says: 'A watched application was looked at, and stands otherwise than before.' }),
  rollout_settled: () => ({ says: 'The watch of one application ended.' }),
  applied: () => ({ says: 'The change is live in every application that uses the secret.', tone: 'green' }),
  rollout_failed: () => ({ says: 'The change is written, and an application failed to take it.', tone: 'red' }),
  applied_unverified: () => ({
    says: 'The change is written, and nobody could tell in time whether it is live everywhere.',
    tone: 'yellow',
  }),
  values_provided: ({ data, name }) => ({
    says: `${name(data.by)} filled in the values.`,
    comment: data.comment,
    tone: 'violet',
  }),
  values_refused: ({ data, name }) => ({
    says: `${name(data.by)} said that there will be no values.`,
    comment: data.comment,
    tone: 'red',
  }),
  step_reminded: ({ data, request }) => ({ says: `Those who decide${step(data.step, request)} were reminded.` }),
  step_escalated: ({ data, request }) => ({
    says: `Nobody decided for too long${step(data.step, request)}, so others may decide too.`,
    tone: 'yellow',
  }),
  glass_broken: ({ data, request }) => ({
    says: `${nameOf(request.requester)} went ahead without approval.`,
    comment: data.reason,
    tone: 'red',
  }),
  glass_reviewed: ({ data, name }) => ({
    says: `${name(data.by)} reviewed it: going without approval was ${data.outcome === 'justified' ? 'justified' : 'not justified'}.`,
    comment: data.comment,
    tone: data.outcome === 'justified' ? 'green' : 'red',
  }),
  review_overdue: () => ({ says: 'Nobody has reviewed it in time.', tone: 'red' }),
}

const waited: Record<string, string> = {
  awaiting_values: 'waited for values',
  pending: 'waited for approval',
  approved: 'waited for an agent',
  running: 'was being worked on',
  unknown: 'was not known what had become of it',
}

/** What a newer server may record. */
const unheardOf: Sentence = () => ({ says: 'Something was recorded that has no words here yet.' })

/** tell is one fact in words. */
export function tell(event: Event, request: Request, names: Names): Told {
  const kind = /^sb\.request\.([a-z_]+)\./.exec(event.type)?.[1] ?? ''
  const name = (id: unknown) => names.get(String(id)) || 'Somebody who left'
  const sentence = sentences[kind] ?? unheardOf
  const { says, tone, comment } = sentence({ who: actor(event, name), data: event.data, name, request })
  return {
    id: event.id,
    at: event.time,
    says,
    tone: tone ?? 'gray',
    comment: text(comment),
    correlation: event.correlation,
  }
}

function actor(event: Event, name: (id: unknown) => string): string {
  const [kind, id] = event.actor.split(/:(.*)/)
  if (kind === 'user') return event.actor_name || name(id)
  return kind === 'agent' ? 'An agent' : 'Secrets Bridge'
}

/** voice is who said something, and for whom. */
function voice(data: Record<string, unknown>, name: (id: unknown) => string): string {
  const via = Array.isArray(data.via) ? data.via : []
  const approver = name(data.approver)
  return via.length > 0 ? `${approver}, for ${name(via.at(-1))},` : approver
}

/** step names a step, where there is more than one. */
function step(id: unknown, request: Request): string {
  return request.steps.length > 1 && id ? ` in the step “${id}”` : ''
}

function done(request: Request, outcome: unknown): string {
  if (request.operation === 'read') return 'The agent read the secret and sealed its values.'
  if (outcome === 'unchanged') return 'All was already as asked for, so nothing was written.'
  if (outcome === 'found') return 'It was written: the agent looked and found it there.'
  return 'The agent wrote it, and read it back to be sure.'
}

const endings = { one: 'st', two: 'nd', few: 'rd', other: 'th', zero: 'th', many: 'th' }
const ordinals = new Intl.PluralRules('en', { type: 'ordinal' })
const ordinal = (n: number): string => `${n}${endings[ordinals.select(n)]}`

const text = (value: unknown): string | undefined => (typeof value === 'string' && value ? value : undefined)
