// The words for what people and integrations are told. A new kind, state or code fails to compile until it has some.
import type { Schema } from '../api/client'
import type { Tone } from './requestWords'

export type NoticeKind = Schema['NoticeKind']
export type Delivery = Schema['Delivery']

export const noticeWords: Record<NoticeKind, string> = {
  submitted: 'A request waits for approval',
  step_opened: 'A further step waits for approval',
  values: 'Values are to be filled in',
  reminder: 'A request still waits',
  escalated: 'A step waited for too long, and others may decide',
  voted: 'Somebody agreed, and more must',
  approved: 'A request is approved',
  rejected: 'A request is denied',
  cancelled: 'A request was taken back',
  executed: 'A request was carried out',
  failed: 'A request could not be carried out',
  expiring: 'A request or a value ends soon',
  expired: 'A request ran out of time',
  revealed: 'A value was opened',
  voided: 'Approvals must be given again',
  rolled_out: 'A change is live',
  rollout: 'A change is written, and not live everywhere',
  break_glass: 'Something was done without approval',
  reviewed: 'An emergency was reviewed',
  review_due: 'A review is overdue',
  agent_lost: 'An agent fell silent',
  delivery: 'Somebody could not be told',
}

/** These are told to integrations alone. */
export const forIntegrationsOnly: readonly NoticeKind[] = ['agent_lost', 'delivery']

/** toldWords is what a delivery was about. */
export const toldWords = (kind: string): string =>
  kind === 'test' ? 'A test' : Object.hasOwn(noticeWords, kind) ? noticeWords[kind as NoticeKind] : kind

export const deliveryWords: Record<Delivery['state'], { label: string; tone: Tone }> = {
  waiting: { label: 'Waits', tone: 'blue' },
  sent: { label: 'Sent', tone: 'green' },
  dead: { label: 'Given up', tone: 'red' },
  unset: { label: 'No address', tone: 'gray' },
  moot: { label: 'Not needed any more', tone: 'gray' },
}

export const codeWords: Record<NonNullable<Delivery['code']>, string> = {
  refused: 'The other side refused it',
  throttled: 'The other side asked to come later',
  unavailable: 'The other side could not be reached, or had an error',
  timeout: 'The other side did not answer in time; it may have arrived',
  forbidden: 'The address is one that this server must not call',
  untrusted: 'The certificate of the other side is not trusted',
  unset: 'There is no address, or no mail server is set up',
  internal: 'An error of this server; its log says which',
}
