import { expect, test } from 'vitest'
import { labelText, parseLabel, typedLabel, withLabel, withoutLabel } from './labels'

test('a label is read as it was written, whatever stands in it', () => {
  for (const name of ['team', 'k8s:app', 'a\\b', '\\:', 'ends\\', ':', '\\\\:x']) {
    for (const value of ['', 'payments', 'a:b', '\\:', ':']) {
      expect(parseLabel(labelText({ name, value }))).toEqual({ name, value })
    }
  }
})

test('a colon in a name is escaped, one in a value is not', () => {
  expect(labelText({ name: 'k8s:app', value: 'http://x' })).toBe('k8s\\:app:http://x')
})

test('what has no name is no label', () => {
  for (const text of ['', 'team', ':value', 'only\\:name', 'a\\\\']) expect(parseLabel(text), text).toBeUndefined()
})

test('a backslash before anything else stands for itself', () => {
  expect(parseLabel('a\\n:v')).toEqual({ name: 'a\\n', value: 'v' })
})

test('a name is in a filter once', () => {
  const before = ['team:payments', 'tier:1']
  expect(withLabel(before, { name: 'team', value: 'search' })).toEqual(['tier:1', 'team:search'])
  expect(withoutLabel(before, 'team')).toEqual(['tier:1'])
})

test('a typed text is a label if there is one of its name, in any case', () => {
  expect(typedLabel('team: billing', ['Tier', 'Team'])).toEqual({ name: 'Team', value: 'billing' })
  for (const text of ['team:', 'team', 'other:billing', 'prod/team:1']) {
    expect(typedLabel(text, ['Tier', 'Team']), text).toBeUndefined()
  }
})
