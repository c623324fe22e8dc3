import { expect, test } from 'vitest'
import type { FactEvent } from '../../parts/factWords'
import { type CommandNode, inOrder, treeOf } from './tree'

const fact = (seq: number, index: number, command: string, stream: string, type: string, data = {}): FactEvent => ({
  seq,
  index,
  id: `${command}.${index}`,
  type: `sb.${type}.v1`,
  stream,
  time: new Date(Date.UTC(2026, 10, 24) + seq * 1000).toISOString(),
  actor: /job_started|envelope_stored|executed/.test(type) ? 'agent:a_1' : 'user:u_1',
  correlation: 'x_1',
  command,
  data,
})

/** A reading, from the wish to the value. */
const life = [
  fact(1, 0, 'c_ask', 'request/r_1', 'request.submitted'),
  fact(2, 0, 'c_yes', 'request/r_1', 'request.approval_given', { step: 'approve' }),
  fact(2, 1, 'c_yes', 'request/r_1', 'request.approved', { job: 'j_1' }),
  fact(3, 0, 'c_take', 'request/r_1', 'request.job_started', { job: 'j_1' }),
  fact(4, 0, 'c_seal', 'request/r_1', 'request.envelope_stored', { envelope: 'e_1' }),
  fact(5, 0, 'c_done', 'request/r_1', 'request.executed', { job: 'j_1' }),
  fact(6, 0, 'c_open', 'request/r_1', 'request.envelope_revealed', { envelope: 'e_1' }),
  fact(7, 0, 'c_other', 'access/u_2', 'access.denied'),
]

/** A tree as lines, each fact under what it follows from. */
function lines(nodes: CommandNode[], depth = 0): string[] {
  return nodes.flatMap((node) =>
    node.facts.flatMap(({ event, next }) => ['  '.repeat(depth) + event.type.split('.')[2], ...lines(next, depth + 1)]),
  )
}

test('a job lies under its approval, and what was opened under what was sealed', () => {
  expect(lines(treeOf(life))).toEqual([
    'submitted',
    '  approval_given',
    '  approved',
    '    job_started',
    '    envelope_stored',
    '      envelope_revealed',
    '    executed',
    'denied',
  ])
})

test('in any order, and told twice, every fact is in the tree once and under an earlier one', () => {
  const random = dice(20261127)
  for (let round = 0; round < 300; round++) {
    const events = Array.from({ length: 1 + random(40) }, (_, i) => {
      const data = random(2) ? { job: `j_${random(3)}` } : random(2) ? { envelope: `e_${random(3)}` } : {}
      return fact(i >> 1, i & 1, `c_${random(3) ? i >> 1 : random(5)}_${i & 1}`, `request/r_${random(3)}`, 'a.b', data)
    })
    const told = [...events, ...events.slice(random(5))].sort(() => random(3) - 1)
    const seen: string[] = []
    const walk = (nodes: CommandNode[], after: FactEvent | undefined) => {
      for (const node of nodes) {
        for (const { event, next } of node.facts) {
          seen.push(event.id)
          expect(event.command).toBe(node.command)
          if (after) expect(inOrder([event, after])[0]).toBe(after)
          walk(next, event)
        }
      }
    }
    walk(treeOf(told), undefined)
    expect(seen.toSorted()).toEqual([...new Set(events.map(({ id }) => id))].sort())
  }
})

/** dice throws the same numbers in every run. */
function dice(seed: number) {
  let state = seed
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
