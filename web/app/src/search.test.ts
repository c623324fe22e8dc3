import { expect, test } from 'vitest'
import { many, one, parseSearch, stringifySearch } from './search'

test('an address keeps every value of a parameter, whatever it holds', () => {
  const search = { state: ['pending', 'failed'], label: 'Team:a&b=c', text: '100 %' }
  expect(parseSearch(stringifySearch(search))).toEqual(search)
  expect(stringifySearch({ state: undefined })).toBe('')
})

test('one and many read what is there once, often, or not at all', () => {
  const search = parseSearch('?a=1&b=2&b=3')
  expect([one(search, 'a'), one(search, 'b'), one(search, 'c')]).toEqual(['1', '2', ''])
  expect([many(search, 'a'), many(search, 'b'), many(search, 'c')]).toEqual([['1'], ['2', '3'], []])
})

test('names that every object has are no filters', () => {
  const search = parseSearch('?__proto__=a&__proto__=b&constructor=c&toString=d&state=pending')
  expect(Object.getPrototypeOf(search)).toBe(Object.prototype)
  expect(search).toEqual({ state: 'pending' })
  expect(`${search}`).toBe('[object Object]')
  expect(stringifySearch(search)).toBe('?state=pending')
})
