// Changes of who may do what, and of the installation.
import { type Fact, plural, said, type Table } from './fact'

const nouns: Record<string, string> = {
  Role: 'role',
  Team: 'team',
  Group: 'group',
  Project: 'project',
  Binding: 'binding',
  Workflow: 'workflow',
  Rule: 'rule',
  Settings: 'settings',
}

interface Named {
  kind?: string
  name?: string
}

/** objects are what a change is about: two by name, more by number. */
function objects(fact: Fact): string {
  const all = [...fact.list('set'), ...fact.list('removed')] as Named[]
  if (all.length === 0) return 'the governance'
  if (all.length > 2) return plural(all.length, 'object of the governance', 'objects of the governance')
  const names = all.map(({ kind = '', name = '' }) =>
    kind === 'Settings' ? 'the settings' : `the ${nouns[kind] ?? kind} ${name}`,
  )
  return new Intl.ListFormat('en').format(names)
}

export const governance: Table = {
  'changed.v1': {
    label: 'Governance changed',
    says: (fact) => (
      <>
        {fact.who} changed {objects(fact)}
        {said(fact.text('note'))}
      </>
    ),
  },
  'amendment_proposed.v1': {
    label: 'Change proposed',
    says: (fact) => (
      <>
        {fact.who} proposed to change {objects(fact)}
        {said(fact.text('note'))}
      </>
    ),
  },
  'amendment_approved.v1': {
    label: 'Change approved',
    says: (fact) => (
      <>
        {fact.who} approved a proposed change of the governance
        {said(fact.text('comment'))}
      </>
    ),
  },
  'amendment_rejected.v1': {
    label: 'Change denied',
    says: (fact) => (
      <>
        {fact.who} denied a proposed change of the governance
        {said(fact.text('comment'))}
      </>
    ),
  },
  'amendment_withdrawn.v1': {
    label: 'Change taken back',
    says: (fact) => <>{fact.who} took back a proposed change of the governance</>,
  },
}

export const settings: Table = {
  'kms_key_rotated.v1': { label: 'Wrapping key renewed', says: (fact) => <>{fact.who} had another key wrap values</> },
  'rewrap_started.v1': {
    label: 'Rewrapping begun',
    says: (fact) => (
      <>
        {fact.who} began to move {plural(fact.number('total'), 'sealed value')} to another key
      </>
    ),
  },
  'rewrap_finished.v1': {
    label: 'Rewrapping ended',
    says: (fact) => (
      <>
        {plural(fact.number('moved'), 'sealed value')} moved to another key
        {fact.number('failed') > 0 && <>; {fact.number('failed').toLocaleString('en')} did not open</>}
        {fact.text('outcome') === 'stopped' && '; it was stopped before its end'}
      </>
    ),
  },
  'ownership_rules_set.v1': {
    label: 'Ownership rules changed',
    says: (fact) => (
      <>
        {fact.who} replaced the rules of ownership by {plural(fact.list('rules').length, 'rule')}
      </>
    ),
  },
  'signing_key_rotated.v1': {
    label: 'Signing key renewed',
    says: (fact) => <>{fact.who} gave the control plane a fresh signing key</>,
  },
}
