import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { render } from '@testing-library/react'
import { expect, test } from 'vitest'
import type { Names } from './facts/fact'
import { type FactEvent, isDenied, labelOf, tell, wordsOf } from './factWords'

/** The root of the repository: what the Go half wrote lies there. */
const root = join(import.meta.dirname, '../../../..')

/** Every version of every fact that was ever written: the catalogue's own test holds this folder to be complete. */
const written = readdirSync(`${root}/events/testdata`)
  .filter((file) => /^sb\..*\.json$/.test(file))
  .flatMap((file) => JSON.parse(readFileSync(`${root}/events/testdata/${file}`, 'utf8')) as CloudEvent[])

interface CloudEvent {
  id: string
  type: string
  subject: string
  time: string
  actor: string
  correlation: string
  command: string
  data: Record<string, unknown>
}

const names: Names = {
  person: (id) => (id === 'u_1' ? 'Ada' : 'Dana'),
  agent: () => 'agent-eu-1',
  actor: () => 'Ada',
}

const event = ({ subject, ...rest }: CloudEvent): FactEvent => ({ seq: 7, index: 0, stream: subject, ...rest })

const sentence = (of: FactEvent, about = {}) =>
  render(<p>{tell(of, about, names)}</p>)
    .container.textContent?.replace(/\s+/g, ' ')
    .trim() ?? ''

test('a change names what it sets and removes, and counts only what is beyond three', () => {
  const says = (data: Record<string, unknown>, type = 'changed') =>
    sentence(
      event({
        id: 'e_1',
        type: `sb.governance.${type}.v1`,
        subject: 'governance',
        time: '2026-01-02T03:04:05Z',
        actor: 'user:u_1',
        correlation: 'c_1',
        command: 'k_1',
        data,
      }),
    )
  const rules = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ kind: 'Rule', name }))
  const gone = [{ kind: 'Workflow', name: 'old' }]
  expect(says({ version: 2, set: rules.slice(0, 3) })).toBe('Ada set the rule a, the rule b, and the rule c')
  expect(says({ version: 2, set: rules, removed: gone })).toBe(
    'Ada set the rule a, the rule b, the rule c, and 2 more objects and removed the workflow old',
  )
  expect(says({ version: 1, set: rules.slice(0, 1) })).toBe('Ada made the rule a')
  expect(says({ removed: gone }, 'amendment_proposed')).toBe('Ada proposed to remove the workflow old')
})

test('every fact that was ever written has words, and its sentence has no holes', () => {
  expect(written.length).toBeGreaterThan(80)
  const catalogue = readFileSync(`${root}/docs/reference/facts.md`, 'utf8')
  const types = [...catalogue.matchAll(/^### `(sb\..+)`$/gm)].map(([, type]) => type as string)
  expect(types.filter((type) => !wordsOf(type))).toEqual([])
  expect(new Set(types)).toEqual(new Set(written.map((fact) => fact.type)))
  for (const fact of written) {
    const says = sentence(event(fact))
    expect(wordsOf(fact.type), fact.type).toBeDefined()
    expect(says.length, fact.type).toBeGreaterThan(10)
    expect(says, fact.type).not.toMatch(/undefined|null|NaN|\[object|sb\.| {2}/)
  }
})

test('no two types are called the same', () => {
  const types = [...new Set(written.map((fact) => fact.type))]
  expect(new Set(types.map(labelOf)).size).toBe(types.length)
})

test('what somebody was kept from is what the log counts as denied', () => {
  const source = readFileSync(`${root}/events/outcome.go`, 'utf8')
  const denied = source.slice(source.indexOf('OutcomeDenied: {'), source.indexOf('OutcomeDone: {'))
  for (const { type } of written) expect(isDenied({ type }), type).toBe(denied.includes(`"${type}"`))
})

test('a decision names whose request it was, and what for', () => {
  const fact = written.find((fact) => fact.type === 'sb.request.approval_given.v1' && !fact.data.via) as CloudEvent
  const asked = { requester: 'u_2', operation: 'read' as const, secret: 'prod/db/password' }
  expect(sentence(event({ ...fact, data: { step: 's' } }), { request: asked })).toBe(
    'Ada approved Dana’s request to read prod/db/password',
  )
  expect(sentence(event({ ...fact, data: { step: 's' } }))).toBe('Ada approved a request')
})

test('a refused sign-in says how it was tried', () => {
  const fact = written.find((fact) => fact.type === 'sb.access.sign_in_failed.v1') as CloudEvent
  const says = (data: Record<string, unknown>) => sentence(event({ ...fact, data }))
  expect(says({ code: 'unknown_person' })).toBe('Somebody tried to sign in with an e-mail that nobody has')
  expect(says({ code: 'wrong_password', user: 'u_2' })).toBe('Somebody tried to sign in as Dana with a wrong password')
  expect(says({ code: 'disabled', user: 'u_2' })).toBe('Somebody tried to sign in as Dana, who is kept out')
})

test('a type that is newer than the application is shown as it is called', () => {
  const fact = { ...(written[0] as CloudEvent), type: 'sb.request.constructor.v9' }
  expect(labelOf(fact.type)).toBe(fact.type)
  expect(sentence(event(fact))).toBe('Ada: sb.request.constructor.v9')
})
