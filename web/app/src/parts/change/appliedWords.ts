import type { ObjectChange } from '../../api/governance'
import { told } from '../governance/objects'
import { join } from '../governance/words'
import { capital } from './Editing'

/** How many objects are told by name; a longer list is only looked at elsewhere. */
const most = 3

/** applied is what became of a change: "The rule payments-two is in force." `disabled` are rules that are switched off. */
export function applied(changes: ObjectChange[], version: number, disabled: ReadonlySet<string>): string {
  const at = `Version ${version} of the governance counts now.`
  if (changes.length === 0 || changes.length > most) return at
  const says = (these: ObjectChange[], what: string) => {
    if (these.length === 0) return []
    const many = these.length > 1 || these[0]?.kind === 'Settings'
    return [`${capital(join(these.map(({ kind, name }) => told(kind, name))))} ${many ? 'are' : 'is'} ${what}.`]
  }
  const off = ({ kind, name, action }: ObjectChange) => action !== 'removed' && kind === 'Rule' && disabled.has(name)
  return [
    ...says(
      changes.filter((c) => c.action !== 'removed' && !off(c)),
      'in force',
    ),
    ...says(changes.filter(off), 'kept, but switched off'),
    ...says(
      changes.filter((c) => c.action === 'removed'),
      'removed',
    ),
    at,
  ].join(' ')
}
