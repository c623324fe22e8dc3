import { expect, test } from 'vitest'
import { changeTo, diff } from './diff'
import { examples } from './examples'

test('nothing differs from itself', () => {
  expect(diff(examples, examples)).toEqual([])
  expect(changeTo(examples, examples)).toEqual({ set: [], removed: [] })
})

test('fields are told before and after, and entries of a set by themselves', () => {
  const team = (spec: Record<string, unknown>) => [{ kind: 'Team' as const, name: 'a', spec }]
  const changes = diff(team({ parent: 'x', heads: ['u_1', 'u_2'] }), team({ parent: 'y', heads: ['u_2', 'u_3'] }))
  expect(changes).toEqual([
    {
      kind: 'Team',
      name: 'a',
      action: 'changed',
      fields: [
        { field: 'parent', before: 'x', after: 'y' },
        { field: 'heads', after: 'u_3' },
        { field: 'heads', before: 'u_1' },
      ],
    },
  ])
})

test('a step more is a step more, and not a change of all of them', () => {
  const flow = (ids: string[]) => [
    { kind: 'Workflow' as const, name: 'w', spec: { steps: ids.map((id) => ({ id, approvals: 1 })) } },
  ]
  expect(diff(flow(['b']), flow(['a', 'b']))[0]?.fields).toEqual([
    { field: 'steps[a].id', after: 'a' },
    { field: 'steps[a].approvals', after: '1' },
    { field: 'steps', before: 'b', after: 'a, b' },
  ])
})

test('the change to another version leads there', () => {
  const now = examples.slice(0, 5)
  const then = [...examples.slice(3), { kind: 'Team' as const, name: 'billing', spec: { parent: 'other' } }]
  const { set, removed } = changeTo(now, then)
  const left = new Map(now.map((o) => [`${o.kind}/${o.name}`, o]))
  for (const ref of removed) left.delete(`${ref.kind}/${ref.name}`)
  for (const o of set) left.set(`${o.kind}/${o.name}`, o)
  expect(diff([...left.values()], then)).toEqual([])
  expect(removed.map((ref) => ref.kind)).toEqual(['Role', 'Group'])
})
