import { expect, test } from 'vitest'
import { edit, fault, matches, same, says } from './rules'

const a = { connection: 'vault', owner: 'payments' }
const b = { owner_label: 'Team' }
const c = { prefix: 'prod/', environment: 'prod' }

test('rules are added at the end, changed in their place, and taken away', () => {
  expect(edit([a], { do: 'add', rule: b })).toEqual([a, b])
  expect(edit([a, b], { do: 'change', at: 1, rule: c })).toEqual([a, c])
  expect(edit([a, b, c], { do: 'remove', at: 1 })).toEqual([a, c])
})

test('a rule moves to a place, and the others keep their order', () => {
  expect(edit([a, b, c], { do: 'move', at: 2, to: 0 })).toEqual([c, a, b])
  expect(edit([a, b, c], { do: 'move', at: 0, to: 1 })).toEqual([b, a, c])
})

test('what is not there does not move, and nothing moves out of the list', () => {
  const rules = [a, b]
  for (const [at, to] of [
    [2, 0],
    [0, 2],
    [0, -1],
  ] as const) {
    expect(edit(rules, { do: 'move', at, to })).toBe(rules)
  }
})

test('an edit leaves the list before it as it was', () => {
  const before = [a, b, c]
  edit(before, { do: 'move', at: 0, to: 2 })
  edit(before, { do: 'remove', at: 0 })
  expect(before).toEqual([a, b, c])
})

test('the order counts, and empty fields do not', () => {
  expect(same([a, b], [b, a])).toBe(false)
  expect(same([a, b], [a])).toBe(false)
  expect(same([{ ...a, prefix: '', labels: {} }], [a])).toBe(true)
  expect(same([{ ...a, labels: { x: '1', y: '2' } }], [{ ...a, labels: { y: '2', x: '1' } }])).toBe(true)
})

test('a rule reads as a sentence', () => {
  expect(`${matches({ ...a, prefix: 'prod/', labels: { tier: '1' } })} ${says(a)}`).toBe(
    'Secrets in vault, whose path begins with prod/, labelled tier: 1 belong to payments',
  )
  expect(`${matches(b)} ${says(b)}`).toBe('All secrets belong to whom the label Team names')
})

test('a rule that says nothing is none', () => {
  expect(fault({ connection: 'vault' })).toBeDefined()
  expect(fault(b)).toBeUndefined()
})
