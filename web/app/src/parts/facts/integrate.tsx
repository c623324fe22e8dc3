// What is told of facts, and what is looked at.
import { type Fact, plural, said, type Table } from './fact'

const theIntegration = (fact: Fact) => <strong>{fact.text('integration') || fact.id}</strong>

const secrets: Record<string, string> = { url: 'the address', token: 'the token', signing_key: 'the signing key' }

export const integrations: Table = {
  'created.v1': {
    label: 'Integration created',
    says: (fact) => (
      <>
        {fact.who} created the integration {theIntegration(fact)}
      </>
    ),
  },
  'changed.v1': {
    label: 'Integration changed',
    says: (fact) => (
      <>
        {fact.who} changed the settings of {theIntegration(fact)}
      </>
    ),
  },
  'secret_set.v1': {
    label: 'Secret of an integration set',
    says: (fact) => (
      <>
        {fact.who} set {secrets[fact.text('secret')] ?? 'a secret'} of {theIntegration(fact)}
      </>
    ),
  },
  'disabled.v1': {
    label: 'Integration disabled',
    says: (fact) => (
      <>
        {fact.who} disabled the integration {theIntegration(fact)}
        {said(fact.text('reason'))}
      </>
    ),
  },
  'enabled.v1': {
    label: 'Integration enabled',
    says: (fact) => (
      <>
        {fact.who} enabled the integration {theIntegration(fact)}
      </>
    ),
  },
  'removed.v1': {
    label: 'Integration removed',
    says: (fact) => (
      <>
        {fact.who} removed the integration {theIntegration(fact)}
        {said(fact.text('reason'))}
      </>
    ),
  },
  'mapping_added.v1': {
    label: 'Application mapped',
    says: (fact) => (
      <>
        {fact.who} said which secrets an application of {theIntegration(fact)} uses
      </>
    ),
  },
  'mapping_removed.v1': {
    label: 'Mapping removed',
    says: (fact) => (
      <>
        {fact.who} removed a mapping of {theIntegration(fact)}
      </>
    ),
  },
  'tested.v1': {
    label: 'Integration tried',
    says: (fact) => (
      <>
        {fact.who} tried {theIntegration(fact)}
      </>
    ),
  },
  'delivery_retried.v1': {
    label: 'Message sent again',
    says: (fact) => (
      <>
        {fact.who} had a message sent again to {theIntegration(fact)}
      </>
    ),
  },
  'delivery_abandoned.v1': {
    label: 'Integration not told',
    says: (fact) => (
      <>
        {theIntegration(fact)} could not be told, after {plural(fact.number('attempts'), 'attempt')}
      </>
    ),
  },
}
