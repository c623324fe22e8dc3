import type { Amendment } from '../../api/governance'
import type { Me } from '../../session/who'
import { whyNot } from '../../session/who'

type State = Amendment['state']

export const amendmentWords: Record<State, { label: string; tone: string; says: string }> = {
  open: { label: 'Waits', tone: 'indigo', says: 'It counts once enough people agreed.' },
  stale: {
    label: 'Out of date',
    tone: 'gray',
    says: 'Something else changed since it was written, so it cannot be approved any more: propose it again.',
  },
  over: { label: 'Expired', tone: 'gray', says: 'Nobody decided in time.' },
  applied: { label: 'Counts', tone: 'blue', says: 'It was approved, and is a version of its own.' },
  rejected: { label: 'Rejected', tone: 'red', says: 'Somebody said no.' },
  withdrawn: { label: 'Taken back', tone: 'gray', says: 'Who proposed it took it back.' },
}

/** over reports whether nothing can be decided about it any more. */
const decided = (state: State): boolean => state !== 'open' && state !== 'stale'

/**
 * whyNotDecide explains the rules of command/amendment.go to who looks at it: who proposed it, who has
 * voted, and who is not asked cannot. The server decides.
 */
export function whyNotDecide(me: Me, amendment: Amendment, approve: boolean): string | undefined {
  if (decided(amendment.state)) return amendmentWords[amendment.state].says
  if (approve && amendment.state === 'stale') return amendmentWords.stale.says
  const missing = whyNot(me, 'amendment.approve', 'decide on changes of the governance')
  if (missing) return missing
  if (amendment.by.id === me.id) return 'You proposed it; somebody else decides.'
  if (amendment.words.some((word) => word.person.id === me.id)) return 'You have decided already.'
  const { people = [], groups = [], roles = [] } = amendment.from
  const everywhere = me.grants.filter((grant) => Object.keys(grant.scope).length === 0).map((grant) => grant.role)
  const asked =
    people.includes(me.id) || groups.some((g) => me.groups.includes(g)) || roles.some((r) => everywhere.includes(r))
  return asked ? undefined : 'You are not among those who are asked.'
}

/** whyNotWithdraw likewise: only who proposed it takes it back. */
export function whyNotWithdraw(me: Me, amendment: Amendment): string | undefined {
  if (decided(amendment.state)) return amendmentWords[amendment.state].says
  if (amendment.by.id !== me.id) return 'Only who proposed it takes it back.'
  return whyNot(me, 'governance.manage', 'change the governance')
}
