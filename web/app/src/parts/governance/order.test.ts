import { expect, test } from 'vitest'
import type { Rule, Team, Typed } from './objects'
import { inOrder } from './order'

const rule = (name: string, spec: Rule): Typed<'Rule'> => ({ kind: 'Rule', name, spec })

test('rules stand in the order in which they decide', () => {
  const teams = new Map<string, Team>([
    ['top', {}],
    ['below', { parent: 'top' }],
  ])
  const groups = inOrder(
    [
      rule('off', { effect: 'deny', disabled: true }),
      rule('anything', { effect: 'require', priority: -1000 }),
      rule('kind', { effect: 'require', scope: { environment_kind: 'prod' } }),
      rule('team', { effect: 'require', scope: { team: 'top' } }),
      rule('team-below', { effect: 'require', scope: { team: 'below' } }),
      rule('environment', { effect: 'require', scope: { environment: 'prod' } }),
      rule('project', { effect: 'reveal', scope: { project: 'shop' } }),
      rule('both', { effect: 'require', scope: { project: 'shop', environment: 'prod' } }),
      rule('connection', { effect: 'require', scope: { connection: 'file' } }),
      rule('short', { effect: 'require', scope: { connection: 'file', prefix: 'a/' } }),
      rule('long', { effect: 'require', scope: { connection: 'file', prefix: 'a/b/' } }),
      rule('high', { effect: 'require', priority: 7 }),
      rule('b', { effect: 'deny', priority: -9 }),
      rule('a', { effect: 'deny', priority: -10 }),
    ],
    teams,
  )
  expect(groups.map((group) => [group.title, group.rules.map((r) => r.name)])).toEqual([
    ['Refusals come first', ['a', 'b']],
    ['Priority 7', ['high']],
    ['Priority 0', ['long', 'short', 'connection', 'both', 'project', 'environment', 'team-below', 'team', 'kind']],
    ['Priority -1000', ['anything']],
    ['Switched off', ['off']],
  ])
})
