import { expect, test } from 'vitest'
import { changed, decide, draftOf, newDraft } from './draft'

const rule = draftOf({ kind: 'Rule', name: 'a', spec: { effect: 'deny', priority: 1 } })

test('a draft differs once a field does, and not any more once it is put back', () => {
  const raised = decide(rule, { do: 'put', path: ['priority'], value: 2 })
  expect(changed(rule)).toBe(false)
  expect(changed(raised)).toBe(true)
  expect(changed(decide(raised, { do: 'put', path: ['priority'], value: 1 }))).toBe(false)
})

test('only a new object can be named', () => {
  expect(decide(rule, { do: 'rename', name: 'b' }).name).toBe('a')
  expect(decide(rule, { do: 'replace', name: 'b', spec: {} }).name).toBe('a')
  expect(decide(newDraft('Rule', {}), { do: 'rename', name: 'b' }).name).toBe('b')
})

test('what others changed is taken over where the draft changed nothing', () => {
  const mine = decide(rule, { do: 'put', path: ['priority'], value: 5 })
  const followed = decide(mine, { do: 'follow', theirs: { effect: 'require', workflow: 'w', priority: 9 } })
  expect(followed.spec).toEqual({ effect: 'require', workflow: 'w', priority: 5 })
  expect(followed.base).toEqual({ effect: 'require', workflow: 'w', priority: 9 })
})

test('a field that others took away goes, unless the draft changed it', () => {
  const described = draftOf({ kind: 'Rule', name: 'a', spec: { effect: 'deny', description: 'old' } })
  expect(decide(described, { do: 'follow', theirs: { effect: 'deny' } }).spec).toEqual({ effect: 'deny' })
  const mine = decide(described, { do: 'put', path: ['description'], value: 'new' })
  expect(decide(mine, { do: 'follow', theirs: { effect: 'deny' } }).spec).toEqual({
    effect: 'deny',
    description: 'new',
  })
})
