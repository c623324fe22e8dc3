// What somebody tried who may not: the middle of "Dana tried …".
import type { Permission } from '../../session/who'

/** Codes that say more than a missing permission does. */
const byCode: Record<string, string> = {
  self_approval: 'to decide their own request',
  not_an_approver: 'to decide a request that others decide',
  not_your_request: 'to use somebody else’s request',
  voice_counted: 'to decide a step twice',
  you_are_absent: 'to decide while they are absent',
  reveal_not_allowed: 'to open a value that is not for them',
  already_revealed: 'to open a value that was opened before',
  envelope_expired: 'to open a value whose time was over',
  policy_denied: 'what the rules deny',
  break_glass_not_allowed: 'to do without approval where that is not allowed',
  review_overdue: 'to do without approval while a review is overdue',
  own_review: 'to review what they did themselves',
  not_a_reviewer: 'to review what others review',
  filled_in: 'to decide a request whose values they filled in',
  own_fill: 'to fill in values of their own request',
  not_the_team: 'to fill in values that another team fills in',
  request_hidden: 'to see a request that is hidden from them',
  job_hidden: 'to see a job that is hidden from them',
  secret_hidden: 'to see a secret that is hidden from them',
  connection_hidden: 'to see a connection that is hidden from them',
  person_hidden: 'to see a person who is hidden from them',
  grant_hidden: 'to see a role of somebody that is hidden from them',
  too_many_open_requests: 'to have more open requests than one may',
  too_many_requests: 'more in a short time than one may',
  signature_invalid: 'to call with a signature that is wrong',
  signature_expired: 'to call with a signature that is too old',
  signature_used: 'to call with a signature that was used before',
  token_refused: 'to come in with a token that opens nothing',
  step_up_required: 'what needs a second factor, without one',
  sign_in_stale: 'what needs a fresh sign-in, without one',
  factor_missing: 'what needs a second factor, and has none',
  people_only: 'what only people may, as a machine',
  person_above_you: 'to change somebody who has more rights',
  own_rights: 'to change their own rights',
  link_refused: 'to use a link that opens nothing',
  password_wrong: 'to change their password without the old one',
  grant_beyond_scope: 'to give a role further than their own reach',
  legal_hold: 'to erase somebody whom a legal hold keeps',
  own_amendment: 'to decide a change that they proposed',
  not_your_amendment: 'to take back somebody else’s change',
}

/** What a permission lets somebody do. A new one fails to compile until it has its words. */
const byPermission: Record<Permission, string> = {
  'agent.list': 'see agents',
  'agent.manage': 'invite or revoke agents',
  'amendment.approve': 'approve changes of the governance',
  'audit.read': 'read the audit',
  'connection.list': 'see connections',
  'connection.manage': 'manage connections',
  'delegation.manage': 'let somebody vote for them',
  'envelope.reveal': 'open a value',
  'governance.manage': 'change roles, teams, projects, workflows and rules',
  'governance.read': 'read roles, teams, projects, workflows and rules',
  'grant.manage': 'give or take roles',
  'hold.manage': 'place or lift legal holds',
  'support.bundle': 'take a support bundle along',
  'job.list': 'see jobs',
  'job.manage': 'start or cancel scans',
  'integration.list': 'see integrations',
  'integration.manage': 'change integrations',
  'machine.manage': 'manage machines and their tokens',
  'ownership.manage': 'change the rules of ownership',
  'person.list': 'see people',
  'person.manage': 'manage people',
  'report.read': 'read reports',
  'request.approve': 'decide a request',
  'request.break_glass': 'do without approval',
  'request.cancel': 'take a request back',
  'request.create': 'ask for a secret',
  'request.list': 'see requests',
  'request.list.all': 'see everybody’s requests',
  'request.review': 'review what was done without approval',
  'secret.assign': 'say whose a secret is',
  'secret.keys': 'learn the names of a secret’s keys',
  'secret.list': 'see the inventory',
  'value.provide': 'fill in values for another team',
}

/** attempt is what was tried. */
export function attempt(code: string, action: string): string {
  const known = Object.hasOwn(byCode, code) ? byCode[code] : undefined
  if (known) return known
  const doing = Object.hasOwn(byPermission, action) ? byPermission[action as Permission] : undefined
  return doing ? `to ${doing}, and may not` : 'what they may not do'
}
