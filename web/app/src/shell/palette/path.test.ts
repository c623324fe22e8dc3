import { expect, test } from 'vitest'
import { pathOf } from './path'

test('a whole path is a connection and what lies in it', () => {
  expect(pathOf('file/prod/payments/stripe')).toEqual({ connection: 'file', ref: 'prod/payments/stripe' })
  for (const text of ['', 'file', 'file/', '/prod', 'File/prod', '1st/prod', 'file/two words']) {
    expect(pathOf(text), text).toBeUndefined()
  }
})
