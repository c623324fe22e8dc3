// Words for machines and their tokens.
import type { Machine } from '../../api/machines'
import type { Tone } from '../../parts/requestWords'

export const stateWords: Record<Machine['state'], { label: string; tone: Tone }> = {
  active: { label: 'Active', tone: 'green' },
  disabled: { label: 'Kept out', tone: 'red' },
}

/** What names a machine or a token. */
export const nameRule = /^[a-z][a-z0-9-]{0,39}$/

/** wrongName is what is wrong with a name, while there is one. */
export const wrongName = (name: string): string | undefined =>
  name !== '' && !nameRule.test(name) ? 'Small letters, digits and -, beginning with a letter' : undefined

/** lastUsed is when any of its open tokens was last used; undefined if none ever was. */
export function lastUsed(machine: Pick<Machine, 'tokens'>): string | undefined {
  return machine.tokens
    .flatMap(({ used_at }) => used_at ?? [])
    .sort((a, b) => Date.parse(a) - Date.parse(b))
    .at(-1)
}

/** tokensOf counts the tokens that are open. */
export function tokensOf(machine: Pick<Machine, 'tokens'>): string {
  const n = machine.tokens.length
  return n === 0 ? 'none' : n === 1 ? '1 token' : `${n} tokens`
}
