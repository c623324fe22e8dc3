import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { ada, dana, fact, olu, request, step } from './examples'
import { namesIn, tell } from './history'

const names = new Map([dana, ada, olu].map((person) => [person.id, person.name]))
const say = (...of: Parameters<typeof fact>) => tell(fact(...of), request(), names).says

test('every fact that a request can have is told in words, and none with a code or an id', () => {
  const catalogue = readFileSync(resolve(import.meta.dirname, '../../../../../docs/reference/facts.md'), 'utf8')
  const kinds = [...catalogue.matchAll(/^### `sb\.request\.([a-z_]+)\.v1`$/gm)].map(([, kind]) => kind as string)
  expect(kinds.length).toBeGreaterThan(20)
  for (const kind of kinds) {
    const said = say(kind, {
      approver: ada.id,
      by: ada.id,
      key: 'password',
      step: 'approve',
      from: 'pending',
      code: 'agent_lost',
      envelope: 'e_1',
      agent: 'a_1',
      detail: 'the agent was lost',
    })
    expect(said, kind).toMatch(/^[A-Z].*\.$/)
    expect(said, kind).not.toMatch(/no words|undefined|agent_lost|[a-z]+_[a-z]|\b[a-z]_\d/)
  }
})

test('a vote says who gave it, for whom, and in which step where there are several', () => {
  expect(say('approval_given', { step: 'approve', approver: ada.id })).toBe('Ada approved.')
  const two = request({ steps: [step, { ...step, id: 'security' }] })
  const vote = fact('rejected', { step: 'security', approver: ada.id, via: [olu.id], comment: 'not on a Friday.' })
  expect(tell(vote, two, names)).toMatchObject({
    says: 'Ada, for Olu, denied it in the step “security”.',
    comment: 'not on a Friday.',
    tone: 'red',
  })
})

test('somebody who was erased has no name, and the sentence stands without', () => {
  expect(say('envelope_revealed', { key: 'password', by: 'u_gone' })).toBe(
    'Somebody who left opened the value of password.',
  )
})

test('names come from the request and from what the server says of an actor', () => {
  const cancelled = fact('cancelled', {}, { actor: 'user:u_eve', actor_name: 'Eve' })
  const known = namesIn(
    request({ votes: [{ step: 'approve', approver: ada, via: [olu], decision: 'approved', at: '' }] }),
    [cancelled],
  )
  expect([...known.values()].sort()).toEqual(['Ada', 'Dana', 'Eve', 'Olu'])
  expect(tell(cancelled, request(), known).says).toBe('Eve took the request back.')
})
