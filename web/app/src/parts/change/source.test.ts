import { expect, test } from 'vitest'
import { examples } from './examples'
import { read, write } from './source'

test.each(examples)('a $kind comes back from its text', ({ kind, name, spec }) => {
  expect(read(write(kind, name, spec), kind)).toEqual({ name, spec })
})

test('JSON is read as well', () => {
  expect(read('{"kind":"Team","name":"a","spec":{"heads":["u_1"]}}', 'Team')).toEqual({
    name: 'a',
    spec: { heads: ['u_1'] },
  })
})

test.each([
  ['the line of a mistake', 'kind: Team\nname: a\nspec:\n  heads: [a', /^Line \d: /],
  ['a field twice', 'kind: Team\nname: a\nname: b\nspec: {}', /^Line 3: .*unique/],
  ['another kind', 'kind: Rule\nname: a\nspec: {}', /kind stays Team/],
  ['a field beside the three', 'kind: Team\nname: a\nspec: {}\nmore: 1', /no field “more”/],
  ['aliases', 'kind: Team\nname: a\nspec: {heads: &a [x], members: *a}', /aliases/],
  ['no spec', 'kind: Team\nname: a', /spec is an object/],
])('a text is refused with %s', (_, text, why) => {
  expect(read(text, 'Team').wrong).toMatch(why)
})
