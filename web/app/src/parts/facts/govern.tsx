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

/** How many objects are told by name. */
const most = 3

const list = new Intl.ListFormat('en')

/** objects are the first ones by name, and how many more there are. */
function objects(all: Named[]): string {
  const names = all
    .slice(0, most)
    .map(({ kind = '', name = '' }) => (kind === 'Settings' ? 'the settings' : `the ${nouns[kind] ?? kind} ${name}`))
  return list.format(all.length > most ? [...names, plural(all.length - most, 'more object')] : names)
}

/**
 * deeds is what a change does to its objects. The fact tells those that go from those that are set, and not
 * whether these are new: only what the first version says was made by it.
 */
function deeds(fact: Fact, set: string, remove: string): string {
  const kept = fact.list('set') as Named[]
  const gone = fact.list('removed') as Named[]
  const parts = [kept.length > 0 && `${set} ${objects(kept)}`, gone.length > 0 && `${remove} ${objects(gone)}`]
  return list.format(parts.filter((part) => part !== false)) || `${set} nothing`
}

export const governance: Table = {
  'changed.v1': {
    label: 'Governance changed',
    says: (fact) => (
      <>
        {fact.who} {deeds(fact, fact.number('version') === 1 ? 'made' : 'set', 'removed')}
        {said(fact.text('note'))}
      </>
    ),
  },
  'amendment_proposed.v1': {
    label: 'Change proposed',
    says: (fact) => (
      <>
        {fact.who} proposed to {deeds(fact, 'set', 'remove')}
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
  'amendment_expired.v1': {
    label: 'Change expired',
    says: () => <>Nobody decided a proposed change of the governance in its time</>,
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
  'checkpoint_key_rotated.v1': {
    label: 'Checkpoint key renewed',
    says: (fact) => <>{fact.who} had another key sign checkpoints of the log</>,
  },
  'rows_adopted.v1': {
    label: 'Rows sealed',
    says: () => <>from here on, a row of the database that lets somebody in needs the control plane&apos;s MAC</>,
  },
  'log_restored.v1': {
    label: 'Restored from a backup',
    says: (fact) => (
      <>
        {fact.who} restored everything as of commit {fact.number('commits').toLocaleString('en')}
        {fact.number('newer') > 0 && <>; {fact.number('newer').toLocaleString('en')} commits had been seen before</>}
      </>
    ),
  },
  'legal_hold_placed.v1': {
    label: 'Legal hold placed',
    says: (fact) => <>{fact.who} had nothing removed until further notice</>,
  },
  'legal_hold_lifted.v1': { label: 'Legal hold lifted', says: (fact) => <>{fact.who} ended a legal hold</> },
}
