import { SecretName } from '../SecretName'
import { aboutRequest, agent, type Fact, person, plural, said, self, type Table, theRequest, wish } from './fact'
import { failure } from './failure'

/** via is "for Mira": whose votes somebody's vote counts for. */
const via = (fact: Fact) => {
  const names = fact.list('via').map((id) => fact.names.person(String(id)))
  return names.length > 0 ? ` for ${new Intl.ListFormat('en').format(names)}` : ''
}

const key = (fact: Fact) => (fact.text('key') ? <> (key {fact.text('key')})</> : null)

const theSecret = (fact: Fact) =>
  fact.about.request ? <SecretName secret={fact.about.request.secret} /> : <>a request</>

const forWhom = (fact: Fact) => (fact.about.request ? <> by {fact.names.person(fact.about.request.requester)}</> : null)

const ended: Record<string, string> = {
  awaiting_values: 'nobody filled in its values in time',
  pending: 'nobody approved it in time',
  approved: 'no agent took it in time',
  running: 'no agent finished it in time',
}

export const request: Table = {
  'submitted.v1': {
    label: 'Request made',
    says: (fact) => (
      <>
        {fact.who} asked {fact.about.request ? wish(fact.about.request) : 'for a secret'}
        {said(fact.text('reason'))}
      </>
    ),
  },
  'approval_given.v1': {
    label: 'Approval given',
    says: (fact) => (
      <>
        {fact.who} approved {theRequest(fact)}
        {via(fact)}
        {said(fact.text('comment'))}
      </>
    ),
  },
  'approved.v1': { label: 'Request approved', says: (fact) => <>{aboutRequest(fact)} has all its approvals</> },
  'rejected.v1': {
    label: 'Request denied',
    says: (fact) => (
      <>
        {fact.who} denied {theRequest(fact)}
        {via(fact)}
        {said(fact.text('comment'))}
      </>
    ),
  },
  'cancelled.v1': {
    label: 'Request taken back',
    says: (fact) => (
      <>
        {fact.who} took back {theRequest(fact)}
        {said(fact.text('comment'))}
      </>
    ),
  },
  'expired.v1': {
    label: 'Request expired',
    says: (fact) => (
      <>
        {aboutRequest(fact)} expired: {ended[fact.text('from')] ?? 'its time ran out'}
      </>
    ),
  },
  'job_started.v1': {
    label: 'Work begun',
    says: (fact) => (
      <>
        The agent {agent(fact)} began to work on {theRequest(fact)}
        {fact.number('attempt') > 1 && <> (attempt {fact.number('attempt')})</>}
      </>
    ),
  },
  'lease_lost.v1': {
    label: 'Agent fell silent at work',
    says: (fact) => (
      <>
        The agent {agent(fact)} fell silent while it worked on {theRequest(fact)}
      </>
    ),
  },
  'envelope_stored.v1': {
    label: 'Value sealed',
    says: (fact) => (
      <>
        A sealed value{key(fact)} of {theSecret(fact)} is ready to be opened{forWhom(fact)}
      </>
    ),
  },
  'executed.v1': {
    label: 'Request carried out',
    says: (fact) => (
      <>
        The agent {agent(fact)} carried out {theRequest(fact)}
        {fact.text('outcome') === 'unchanged' && '; nothing had to be changed'}
      </>
    ),
  },
  'failed.v1': {
    label: 'Request failed',
    says: (fact) => (
      <>
        {aboutRequest(fact)} failed: {failure(fact.text('code'))}
      </>
    ),
  },
  'envelope_revealed.v1': {
    label: 'Value opened',
    says: (fact) => (
      <>
        {fact.text('by') && !self(fact, fact.text('by')) ? person(fact, 'by') : fact.who} opened the value
        {key(fact)} of {theSecret(fact)}
      </>
    ),
  },
  'reveal_failed.v1': {
    label: 'Opening failed',
    says: (fact) => <>A value of {theSecret(fact)} was used up, and did not open</>,
  },
  'envelope_expired.v1': {
    label: 'Value destroyed unopened',
    says: (fact) => (
      <>
        Nobody opened the value{key(fact)} of {theSecret(fact)} in time; it was destroyed
      </>
    ),
  },
  'patch_compared.v1': {
    label: 'Change compared',
    says: (fact) => (
      <>
        The agent {agent(fact)} looked at what {theRequest(fact)} would change
        {fact.text('problem') && <>: {failure(fact.text('problem'))}</>}
      </>
    ),
  },
  'approvals_voided.v1': {
    label: 'Approvals void',
    says: (fact) => <>{aboutRequest(fact)} needs new approvals: the secret changed meanwhile</>,
  },
  'envelope_delivered.v1': {
    label: 'Value handed to an agent',
    says: (fact) => (
      <>
        A proposed value{key(fact)} of {theRequest(fact)} was sealed to the agent {agent(fact)}
      </>
    ),
  },
  'write_begun.v1': {
    label: 'Writing begun',
    says: (fact) => (
      <>
        The agent {agent(fact)} began to write what {theRequest(fact)} changes
      </>
    ),
  },
  'outcome_unknown.v1': {
    label: 'Outcome unknown',
    says: (fact) => <>Nobody saw whether {theRequest(fact)} was carried out; an agent looks</>,
  },
  'values_provided.v1': {
    label: 'Values filled in',
    says: (fact) => (
      <>
        {fact.who} filled in {plural(fact.list('changes').length, 'value')} of {theRequest(fact)}
        {said(fact.text('comment'))}
      </>
    ),
  },
  'values_refused.v1': {
    label: 'Values refused',
    says: (fact) => (
      <>
        {fact.who} does not fill in the values of {theRequest(fact)}
        {said(fact.text('comment'))}
      </>
    ),
  },
  'step_reminded.v1': {
    label: 'Approvers reminded',
    says: (fact) => <>The approvers of {theRequest(fact)} were reminded</>,
  },
  'step_escalated.v1': {
    label: 'Step escalated',
    says: (fact) => <>{aboutRequest(fact)} waited for too long; others may decide it too</>,
  },
  'glass_broken.v1': {
    label: 'Done without approval',
    says: (fact) => (
      <>
        {fact.who} did without approval for {theRequest(fact)}
        {said(fact.text('reason'))}
      </>
    ),
  },
  'glass_reviewed.v1': {
    label: 'Emergency reviewed',
    says: (fact) => (
      <>
        {fact.who} found it {fact.text('outcome') === 'justified' ? 'justified' : 'not justified'} that{' '}
        {theRequest(fact)} had no approval
        {said(fact.text('comment'))}
      </>
    ),
  },
  'review_overdue.v1': {
    label: 'Review overdue',
    says: (fact) => <>Nobody reviewed in time {theRequest(fact)}, which had no approval</>,
  },
  'rollout_begun.v1': {
    label: 'Rollout watched',
    says: (fact) => (
      <>
        {plural(fact.list('watches').length, 'application')} of {theRequest(fact)}{' '}
        {fact.list('watches').length === 1 ? 'is' : 'are'} watched
      </>
    ),
  },
  'rollout_observed.v1': {
    label: 'Rollout seen',
    says: (fact) => <>{aboutRequest(fact)}: an application was looked at</>,
  },
  'rollout_settled.v1': {
    label: 'Rollout watch ended',
    says: (fact) => <>{aboutRequest(fact)}: the watch of an application ended</>,
  },
  'applied.v1': {
    label: 'Change live',
    says: (fact) => <>{aboutRequest(fact)} is live in every application that uses the secret</>,
  },
  'rollout_failed.v1': {
    label: 'Rollout failed',
    says: (fact) => (
      <>
        {aboutRequest(fact)} is written, and {plural(fact.number('failed'), 'application')} failed
      </>
    ),
  },
  'applied_unverified.v1': {
    label: 'Rollout not verified',
    says: (fact) => (
      <>
        {aboutRequest(fact)} is written, and nobody could tell in time whether{' '}
        {plural(fact.number('unverified'), 'application')} took it
      </>
    ),
  },
}
