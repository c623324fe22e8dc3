// The words for how a change is rolled out. A new state, proof or problem fails to compile until it has some.
import type { Schema } from '../../api/client'
import type { Tone } from '../requestWords'

export type Rollout = Schema['Rollout']
export type Watch = Schema['Watch']

export const watchWords: Record<Watch['state'], { label: string; tone: Tone }> = {
  watching: { label: 'Watching', tone: 'blue' },
  applied: { label: 'Live', tone: 'green' },
  failed: { label: 'Failed', tone: 'red' },
  applied_unverified: { label: 'Not verified', tone: 'yellow' },
}

const proofs: Record<NonNullable<Watch['proof']>, string> = {
  external_secret_refreshed: 'its ExternalSecret was refreshed from the store after the change was written',
  secret_changed: 'the Kubernetes Secret is another than before',
}

const problems: Record<NonNullable<Watch['problem']>, string> = {
  unreachable: 'It could not be reached.',
  unauthorized: 'Its token does not count any more. Whoever runs integrations sets another.',
  forbidden: 'The token may not see it, or there is no such application.',
  not_found: 'It is not there any more.',
  malformed: 'Its answer could not be read.',
  too_large: 'Its answer is too large to be read.',
  untrusted: 'Its certificate is not trusted.',
  no_agent: 'No agent of its cluster has looked.',
  not_used: 'Nothing in it uses this secret.',
  disabled: 'Its integration is switched off.',
}

/** nameOf is what a watched application is called. */
export function nameOf({ target }: Pick<Watch, 'target'>): string {
  return target.namespace ? `${target.namespace}/${target.name}` : target.name
}

/** live is "live on 12 of 14", or why there is no such number. */
export function live({ live, total, reached_at }: Pick<Watch, 'live' | 'total' | 'reached_at'>): string {
  if (!reached_at) return 'The new version is not seen in the cluster yet'
  if (total === 0) return 'In the cluster; no pod uses it'
  return `Live on ${live} of ${total} ${total === 1 ? 'pod' : 'pods'}`
}

/** proof says what shows that the new version is in the cluster. */
export const proof = ({ proof }: Pick<Watch, 'proof'>): string | undefined => proof && proofs[proof]

/** problem says why nothing could be seen. */
export const problem = ({ problem }: Pick<Watch, 'problem'>): string | undefined => problem && problems[problem]

/** standing is how GitOps has it, as far as it says: "Synced, Healthy". */
export const standing = ({ sync, health }: Pick<Watch, 'sync' | 'health'>): string | undefined =>
  [sync, health].filter(Boolean).join(', ') || undefined

/** whole is how the change stands in all that is watched, in a few words. */
export function whole({ state, live, total }: Pick<Rollout, 'state' | 'live' | 'total'>): string {
  const pods = total > 0 ? `${live} of ${total}` : 'no pods yet'
  switch (state) {
    case 'watching':
      return total > 0 ? `Live on ${pods}` : 'Not seen yet'
    case 'applied':
      return total > 0 ? `Live on ${pods}` : 'Live'
    case 'failed':
      return 'An application failed'
    case 'applied_unverified':
      return total > 0 && live < total ? `Written, live on ${pods}` : 'Written, not verified'
  }
}
