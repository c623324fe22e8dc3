// Agents, connections, jobs and what scans find.
import type { ReactNode } from 'react'
import { SecretName } from '../SecretName'
import { agent, type Fact, person, plural, said, type Table } from './fact'
import { failure } from './failure'

/** theAgent is the one whose stream it is. */
const theAgent = (fact: Fact) => <strong>{fact.names.agent(fact.id)}</strong>

const theConnection = (fact: Fact) => <strong>{fact.text('connection') || fact.id}</strong>

/** job is "the scan of file", as far as it is known. */
function job(fact: Fact): ReactNode {
  const type = fact.about.job?.type ?? fact.text('operation')
  const connection = fact.about.job?.connection ?? fact.text('connection')
  const ref = fact.about.job?.ref ?? fact.text('ref')
  if (type === 'keys' && ref) {
    return (
      <>
        the list of the keys of <SecretName secret={`${connection}/${ref}`} />
      </>
    )
  }
  if (type === 'fingerprint') return <>the comparison of the values of {connection}</>
  if (type === 'discover') return <>the scan of {connection}</>
  return <>a job</>
}

export const agents: Table = {
  'enrolment_token_issued.v1': {
    label: 'Agent invited',
    says: (fact) => (
      <>
        {fact.who} invited the agent <strong>{fact.text('name')}</strong> for the cluster {fact.text('cluster')}
      </>
    ),
  },
  'enrolment_token_expired.v1': {
    label: 'Invitation of an agent lapsed',
    says: (fact) => <>Nobody used the invitation of the agent {theAgent(fact)} in time</>,
  },
  'enrolled.v1': { label: 'Agent enrolled', says: (fact) => <>The agent {theAgent(fact)} took up its invitation</> },
  'credentials_issued.v1': {
    label: 'Agent credential renewed',
    says: (fact) => <>The agent {theAgent(fact)} got a fresh credential</>,
  },
  'key_rotated.v1': {
    label: 'Agent key renewed',
    says: (fact) => <>The agent {theAgent(fact)} made a fresh key for what is sealed to it</>,
  },
  'connected.v1': { label: 'Agent online', says: (fact) => <>The agent {theAgent(fact)} came online</> },
  'lost.v1': { label: 'Agent silent', says: (fact) => <>The agent {theAgent(fact)} fell silent</> },
  'revoked.v1': {
    label: 'Agent revoked',
    says: (fact) => (
      <>
        {fact.who} revoked the agent {theAgent(fact)}
        {said(fact.text('reason'))}
      </>
    ),
  },
}

export const connections: Table = {
  'created.v1': {
    label: 'Connection created',
    says: (fact) => (
      <>
        {fact.who} created the connection {theConnection(fact)} for the cluster {fact.text('cluster')}
      </>
    ),
  },
  'disabled.v1': {
    label: 'Connection disabled',
    says: (fact) => (
      <>
        {fact.who} disabled the connection {theConnection(fact)}
        {said(fact.text('reason'))}
      </>
    ),
  },
  'enabled.v1': {
    label: 'Connection enabled',
    says: (fact) => (
      <>
        {fact.who} enabled the connection {theConnection(fact)}
      </>
    ),
  },
  'discovery_scheduled.v1': {
    label: 'Scans scheduled',
    says: (fact) =>
      fact.number('every_seconds') > 0 ? (
        <>
          {fact.who} had {theConnection(fact)} scanned every{' '}
          {plural(Math.max(1, Math.round(fact.number('every_seconds') / 3600)), 'hour')}
        </>
      ) : (
        <>
          {fact.who} ended the regular scans of {theConnection(fact)}
        </>
      ),
  },
}

export const jobs: Table = {
  'queued.v1': {
    label: 'Job started',
    says: (fact) => (
      <>
        {fact.who} started {job(fact)}
        {fact.text('scheduled') === 'true' && ', as scheduled'}
      </>
    ),
  },
  'taken.v1': {
    label: 'Job taken',
    says: (fact) => (
      <>
        The agent {agent(fact)} took {job(fact)}
        {fact.number('attempt') > 1 && <> (attempt {fact.number('attempt')})</>}
      </>
    ),
  },
  'finished.v1': {
    label: 'Job finished',
    says: (fact) => (
      <>
        The agent {agent(fact)} finished {job(fact)}
        {fact.number('keys') > 0 && <>: {plural(fact.number('keys'), 'key')}</>}
      </>
    ),
  },
  'failed.v1': {
    label: 'Job failed',
    says: (fact) => (
      <>
        {fact.text('agent') ? <>The agent {agent(fact)} could not finish</> : 'Nobody could finish'} {job(fact)}:{' '}
        {failure(fact.text('code'))}
      </>
    ),
  },
  'cancelled.v1': {
    label: 'Job called off',
    says: (fact) => (
      <>
        {fact.who} called off {job(fact)}
        {said(fact.text('reason'))}
      </>
    ),
  },
}

export const inventory: Table = {
  'found.v1': {
    label: 'Secrets found',
    says: (fact) => (
      <>
        A scan of {theConnection(fact)} found {plural(fact.list('secrets').length, 'new secret')}
      </>
    ),
  },
  'changed.v1': {
    label: 'Secrets changed',
    says: (fact) => (
      <>
        A scan of {theConnection(fact)} found {plural(fact.list('secrets').length, 'changed secret')}
      </>
    ),
  },
  'gone.v1': {
    label: 'Secrets gone',
    says: (fact) => (
      <>
        A scan of {theConnection(fact)} no longer found {plural(fact.list('refs').length, 'secret')}
      </>
    ),
  },
}

export const secrets: Table = {
  'assigned.v1': {
    label: 'Secret assigned',
    says: (fact) => (
      <>
        {fact.who} {fact.text('owner') ? <>made {fact.text('owner')} the owner</> : 'changed who owns'} of{' '}
        <SecretName secret={`${fact.text('connection')}/${fact.text('ref')}`} />
        {fact.text('environment') && <>, for {fact.text('environment')}</>}
      </>
    ),
  },
  'keys_listed.v1': {
    label: 'Key names told',
    says: (fact) => (
      <>
        {person(fact, 'by')} was told the names of the {plural(fact.number('keys'), 'key')}
        {fact.about.secret ? (
          <>
            {' '}
            of <SecretName secret={fact.about.secret} />
          </>
        ) : (
          ' of a secret'
        )}
      </>
    ),
  },
}
