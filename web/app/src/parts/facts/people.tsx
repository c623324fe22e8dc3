// Who may come in, what they may do, and what they tried.
import { SecretName } from '../SecretName'
import { attempt } from './denials'
import { type Fact, person, plural, said, self, type Table } from './fact'

/** whom is the person whose stream it is, or "themselves". */
const whom = (fact: Fact) => (self(fact, fact.id) ? 'themselves' : <strong>{fact.names.person(fact.id)}</strong>)

/** them begins a sentence about the person whose stream it is. */
const them = (fact: Fact) => <strong>{fact.names.person(fact.id)}</strong>

const factors: Record<string, string> = {
  passkey: 'a passkey',
  totp: 'an authenticator app',
  recovery_code: 'a recovery code',
  password: 'the password',
}

const factor = (fact: Fact) => factors[fact.text('kind')] ?? 'a second factor'

const setBy: Record<string, string> = {
  invitation: 'by an invitation',
  password_reset: 'by a reset link',
  password: 'with the old one',
  operator: 'by an operator',
}

export const users: Table = {
  'added.v1': {
    label: 'Person or machine added',
    says: (fact) => (
      <>
        {fact.who} let {fact.text('kind') === 'machine' ? 'the machine ' : ''}
        {whom(fact)} in
      </>
    ),
  },
  'disabled.v1': {
    label: 'Somebody kept out',
    says: (fact) => (
      <>
        {fact.who} kept {whom(fact)} out from then on
        {said(fact.text('reason'))}
      </>
    ),
  },
  'enabled.v1': {
    label: 'Somebody let in again',
    says: (fact) => (
      <>
        {fact.who} let {whom(fact)} in again
      </>
    ),
  },
  'erased.v1': { label: 'Somebody erased', says: (fact) => <>{fact.who} erased somebody’s name, e-mail and ways in</> },
  'grant_given.v1': {
    label: 'Role given',
    says: (fact) => (
      <>
        {fact.who} gave {whom(fact)} the role <strong>{fact.text('role')}</strong>
        {said(fact.text('reason'))}
      </>
    ),
  },
  'grant_taken.v1': {
    label: 'Role taken',
    says: (fact) => (
      <>
        {fact.who} took a role from {whom(fact)}
        {said(fact.text('reason'))}
      </>
    ),
  },
  'groups_told.v1': {
    label: 'Groups told',
    says: (fact) => (
      <>
        The identity provider put {them(fact)} into {plural(fact.list('groups').length, 'group')}
      </>
    ),
  },
  'identity_linked.v1': {
    label: 'Single sign-on linked',
    says: (fact) => <>{them(fact)} comes in by the identity provider from then on</>,
  },
  'link_issued.v1': {
    label: 'Link made',
    says: (fact) => (
      <>
        {fact.who} made {fact.text('purpose') === 'invitation' ? 'an invitation' : 'a link for a new password'} for{' '}
        {whom(fact)}
      </>
    ),
  },
  'password_set.v1': {
    label: 'Password set',
    says: (fact) => (
      <>
        {them(fact)} got a new password {setBy[fact.text('by')]}
      </>
    ),
  },
  'factor_enrolled.v1': {
    label: 'Second factor added',
    says: (fact) => (
      <>
        {fact.who} added {factor(fact)}
        {!self(fact, fact.id) && <> for {whom(fact)}</>}
      </>
    ),
  },
  'factor_removed.v1': {
    label: 'Second factor removed',
    says: (fact) =>
      fact.text('cause') === 'cloned' ? (
        <>A passkey of {them(fact)} counts no more: it was used as if there were two of it</>
      ) : (
        <>
          {fact.who} removed {factor(fact)} of {whom(fact)}
        </>
      ),
  },
  'recovery_codes_made.v1': {
    label: 'Recovery codes made',
    says: (fact) => (
      <>
        {fact.who} made {plural(fact.number('count'), 'recovery code')}
      </>
    ),
  },
  'token_issued.v1': {
    label: 'Token made',
    says: (fact) => (
      <>
        {fact.who} made the token <strong>{fact.text('name')}</strong> for the machine {whom(fact)}
      </>
    ),
  },
  'token_revoked.v1': {
    label: 'Token revoked',
    says: (fact) => (
      <>
        {fact.who} revoked a token of the machine {whom(fact)}
        {said(fact.text('reason'))}
      </>
    ),
  },
  'delegation_given.v1': {
    label: 'Votes delegated',
    says: (fact) => (
      <>
        {fact.who} let {person(fact, 'to')} vote for them
        {said(fact.text('reason'))}
      </>
    ),
  },
  'link_expired.v1': { label: 'Link expired', says: (fact) => <>Nobody used the link that {whom(fact)} got</> },
  'token_expired.v1': { label: 'Token expired', says: (fact) => <>A token of {whom(fact)} reached its end</> },
  'factor_begun.v1': {
    label: 'Second factor begun',
    says: (fact) => (
      <>
        {whom(fact)} began with {factor(fact)}
      </>
    ),
  },
  'notices_tested.v1': { label: 'Notices tried', says: (fact) => <>{whom(fact)} tried whether notices arrive</> },
  'factor_abandoned.v1': {
    label: 'Second factor not confirmed',
    says: (fact) => (
      <>
        {whom(fact)} began with {factor(fact)} and never confirmed it
      </>
    ),
  },
  'delegation_expired.v1': {
    label: 'Delegation expired',
    says: (fact) => <>Somebody else no longer votes for {whom(fact)}: the time is over</>,
  },
  'delegation_ended.v1': {
    label: 'Delegation ended',
    says: (fact) => <>{fact.who} ended a delegation before its time</>,
  },
  'notices_chosen.v1': { label: 'Notices chosen', says: (fact) => <>{fact.who} chose how to be told</> },
  'notice_abandoned.v1': {
    label: 'Notice not delivered',
    says: (fact) => (
      <>
        <strong>{fact.names.person(fact.id)}</strong> could not be told, after{' '}
        {plural(fact.number('attempts'), 'attempt')}
      </>
    ),
  },
}

const refusedSignIns: Record<string, string> = {
  unknown_person: 'with an e-mail that nobody has',
  wrong_password: 'with a wrong password',
  locked: 'too soon after too many wrong passwords',
  disabled: 'who is kept out',
  sso_email_unverified: 'with an e-mail that the identity provider has not verified',
  sso_email_taken: 'with an e-mail that is somebody else’s',
  sso_person_disabled: 'who is kept out',
}

const readings: Record<string, string> = {
  events: 'facts of the audit',
  counts: 'counts of the audit',
  commits: 'the stored bytes of the log',
  proofs: 'proofs of the log',
  past: 'how something was',
}

const endings: Record<string, string> = {
  owner: 'ended a session of theirs',
  operator: 'had a session ended by an administrator',
  disabled: 'had a session ended as they are kept out',
  erased: 'had a session ended as they were erased',
  password: 'had a session ended by a new password',
  identity_provider: 'had a session ended by the identity provider',
  replaced: 'had a session ended by another sign-in in the same browser',
  token_copied: 'had a session ended as it was used from two places',
}

export const access: Table = {
  'signed_in.v1': { label: 'Signed in', says: (fact) => <>{person(fact, 'user')} signed in</> },
  'sign_in_failed.v1': {
    label: 'Sign-in refused',
    says: (fact) => {
      const code = fact.text('code')
      const how = refusedSignIns[code] ?? (code.startsWith('sso_') ? 'by single sign-on' : '')
      return fact.text('user') ? (
        <>
          Somebody tried to sign in as {person(fact, 'user')}
          {how.startsWith('who') ? `, ${how}` : ` ${how}`}
        </>
      ) : (
        <>Somebody tried to sign in {how}</>
      )
    },
  },
  'signed_out.v1': { label: 'Signed out', says: (fact) => <>{person(fact, 'user')} signed out</> },
  'session_revoked.v1': {
    label: 'Session ended',
    says: (fact) => (
      <>
        {person(fact, 'user')} {endings[fact.text('cause')] ?? 'had a session ended'}
      </>
    ),
  },
  'session_expired.v1': {
    label: 'Session expired',
    says: (fact) => <>A session of {person(fact, 'user')} reached its end</>,
  },
  'stepped_up.v1': {
    label: 'Second factor proved',
    says: (fact) => (
      <>
        {person(fact, 'user')} proved it was them with {factor(fact)}
      </>
    ),
  },
  'step_up_failed.v1': {
    label: 'Second factor refused',
    says: (fact) => (
      <>
        {person(fact, 'user')} could not prove it was them with {factor(fact)}
      </>
    ),
  },
  'direct_reveal_withheld.v1': {
    label: 'Reading at once withheld',
    says: (fact) => (
      <>
        The rule {fact.text('rule')} did not let {fact.who} read{' '}
        <SecretName secret={`${fact.text('connection')}/${fact.text('ref')}`} /> at once: it may be production
      </>
    ),
  },
  'audit_exported.v1': {
    label: 'Audit exported',
    says: (fact) => (
      <>
        {fact.who} took facts of the audit along{fact.list('filters').length > 0 && ', narrowed by filters'}
      </>
    ),
  },
  'audit_read.v1': {
    label: 'Audit read',
    says: (fact) => (
      <>
        {fact.who} began to read {readings[fact.text('reading')] ?? 'the audit'}
        {fact.list('filters').length > 0 && ', narrowed by filters'}
      </>
    ),
  },
  'audit_compared.v1': {
    label: 'Views compared with the log',
    says: (fact) => (
      <>
        {fact.who} compared views and audit with the log:{' '}
        {fact.number('differences') === 0 ? 'nothing differs' : `${plural(fact.number('differences'), 'row')} differ`}
      </>
    ),
  },
  'report_exported.v1': {
    label: 'Report taken along',
    says: (fact) => (
      <>
        {fact.who} took the report {fact.text('report')} along
        {fact.list('filters').length > 0 && ', narrowed by filters'}
      </>
    ),
  },
  'step_up_begun.v1': {
    label: 'Passkey asked for',
    says: (fact) => <>A session of {person(fact, 'user')} was asked for a passkey</>,
  },
  'evidence_exported.v1': {
    label: 'Evidence taken along',
    says: (fact) => <>{fact.who} took the evidence of a request along</>,
  },
  'support_bundle_taken.v1': {
    label: 'Support bundle taken along',
    says: (fact) => <>{fact.who} took a support bundle of a server along</>,
  },
  'session_renewed.v1': { label: 'Session renewed', says: (fact) => <>{person(fact, 'user')} went on in a session</> },
  'denied.v1': {
    label: 'Access denied',
    says: (fact) => (
      <>
        {fact.who} tried {attempt(fact.text('code'), fact.text('action'))}
      </>
    ),
  },
}
