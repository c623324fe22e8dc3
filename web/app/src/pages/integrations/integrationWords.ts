// The words for integrations. A new kind fails to compile until it has some.
import type { Integration, Mapping } from '../../api/integrations'
import type { Tone } from '../../parts/requestWords'

export type Kind = Integration['kind']
export type Secret = Integration['secrets'][number]['secret']

export const kindWords: Record<Kind, { label: string; about: string }> = {
  webhook: {
    label: 'Webhook',
    about: 'A program of yours takes signed messages (Standard Webhooks). Its signing key is shown once.',
  },
  slack: {
    label: 'Slack',
    about: 'An incoming webhook of a Slack channel. Whoever reads the channel reads the notices.',
  },
  teams: { label: 'Microsoft Teams', about: 'An incoming webhook of a Teams workflow, for a channel.' },
  'argo-cd': {
    label: 'Argo CD',
    about: 'It is asked, and never told: the token needs no more than to get applications.',
  },
  flux: {
    label: 'Flux',
    about: 'The agents of a cluster look at what Flux applied there. This server needs no way in.',
  },
  kubernetes: {
    label: 'Kubernetes',
    about: 'The agents of a cluster look at its workloads. This server needs no way in.',
  },
}

/** told are the kinds that are sent notices; the others are looked at. */
export const told = (kind: Kind): boolean => kind === 'webhook' || kind === 'slack' || kind === 'teams'

/** byAgent are the kinds at which agents look. */
export const byAgent = (kind: Kind): boolean => kind === 'flux' || kind === 'kubernetes'

export const stateWords: Record<Integration['state'], { label: string; tone: Tone }> = {
  active: { label: 'Active', tone: 'green' },
  disabled: { label: 'Disabled', tone: 'gray' },
}

export const secretWords: Record<Secret, string> = {
  url: 'Address',
  token: 'Token',
  signing_key: 'Signing key',
}

export const originWords: Record<Mapping['origin'], string> = {
  hand: 'by hand',
  rule: 'by labels',
  discovered: 'found in the cluster',
}

/** kinds of targets, by the kind of integration; the first is the usual one. */
export const targetKinds: Record<Kind, Mapping['target']['kind'][]> = {
  webhook: [],
  slack: [],
  teams: [],
  'argo-cd': ['Application'],
  flux: ['Kustomization', 'HelmRelease'],
  kubernetes: ['Namespace'],
}

/** secretsOf is which secrets a mapping is for. */
export function secretsOf({ connection, ref, labels }: Pick<Mapping, 'connection' | 'ref' | 'labels'>): string {
  if (ref) return `${connection}/${ref}`
  const all = Object.entries(labels ?? {}).map(([name, value]) => `${name}=${value}`)
  return `${connection}, with ${all.join(' and ')}`
}

/** targetOf is what a mapping watches. */
export function targetOf({ target }: Pick<Mapping, 'target'>): string {
  const name = target.namespace ? `${target.namespace}/${target.name}` : target.name
  return target.selector ? `${name}, with ${target.selector}` : name
}

/** labelsFrom reads NAME=VALUE, one a line; undefined if a line is not that. */
export function labelsFrom(text: string): Record<string, string> | undefined {
  const labels: Record<string, string> = {}
  for (const line of text.split('\n').map((one) => one.trim())) {
    if (line === '') continue
    const at = line.indexOf('=')
    if (at < 1) return undefined
    labels[line.slice(0, at)] = line.slice(at + 1)
  }
  return Object.keys(labels).length > 0 ? labels : undefined
}

export const nameRule = /^[a-z][a-z0-9-]{0,39}$/

export const nameWords = 'Small letters, digits and -, beginning with a letter'
