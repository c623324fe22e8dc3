import { expect, test } from 'vitest'
import type { ObjectChange } from '../../api/governance'
import { applied } from './appliedWords'

const of = (kind: ObjectChange['kind'], name: string, action: ObjectChange['action']): ObjectChange => ({
  kind,
  name,
  action,
  fields: [],
})

test('who applied a change is told what is in force, what is not, and what is gone', () => {
  const none = new Set<string>()
  const at = 'Version 7 of the governance counts now.'
  const two = of('Rule', 'payments-two', 'added')
  expect(applied([two], 7, none)).toBe(`The rule payments-two is in force. ${at}`)
  expect(applied([two], 7, new Set(['payments-two']))).toBe(`The rule payments-two is kept, but switched off. ${at}`)
  expect(applied([of('Settings', 'settings', 'changed')], 7, none)).toBe(`The settings are in force. ${at}`)
  expect(applied([two, of('Workflow', 'two', 'added'), of('Rule', 'old', 'removed')], 7, none)).toBe(
    `The rule payments-two and the workflow two are in force. The rule old is removed. ${at}`,
  )
  expect(applied([two, two, two, two], 7, none)).toBe(at)
})
