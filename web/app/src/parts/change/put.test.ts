import { expect, test } from 'vitest'
import type { Spec } from '../../api/governance'
import { examples } from './examples'
import { at, type Path, put, same, textOf } from './put'

/** Every path of an object, down to its leaves. */
function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  const below = Array.isArray(value) ? [...value.entries()] : Object.entries(value)
  return [...(path.length > 0 ? [path] : []), ...below.flatMap(([step, part]) => pathsOf(part, [...path, step]))]
}

test.each(examples)('a form gives every field of a $kind back as it got it', ({ spec }) => {
  const paths = pathsOf(spec)
  expect(paths.length).toBeGreaterThan(1)
  for (const path of paths) expect(put(spec, path, at(spec, path)), textOf(path)).toEqual(spec)
})

test.each(examples)('a form built up field by field is the $kind that was read', ({ spec }) => {
  let built: Spec = {}
  for (const path of pathsOf(spec).filter((path) => typeof at(spec, path) !== 'object')) {
    built = put(built, path, at(spec, path))
  }
  expect(built).toEqual(spec)
})

test.each(examples)('what a form does not know of a $kind survives every other field', ({ spec }) => {
  const unknown = { of_a_newer_server: { deep: [1, { and: 'odd' }] } }
  for (const path of pathsOf(spec).filter((path) => typeof path.at(-1) === 'string')) {
    const changed = put({ ...spec, ...unknown }, path, 'something else')
    expect(changed.of_a_newer_server, textOf(path)).toEqual(unknown.of_a_newer_server)
    expect(at(changed, path)).toBe('something else')
  }
})

test('nothing said takes a field away, and the parts that were there for it alone', () => {
  const spec = { effect: 'deny', scope: { project: 'shop' } }
  expect(put(spec, ['scope', 'project'], '')).toEqual({ effect: 'deny' })
  expect(put({ effect: 'deny', disabled: true }, ['disabled'], false)).toEqual({ effect: 'deny' })
  expect(spec).toEqual({ effect: 'deny', scope: { project: 'shop' } })
})

test('a part that means something by itself stays until it is taken out', () => {
  const spec = { break_glass: { min_length: 10 } }
  expect(put(spec, ['break_glass', 'min_length'], undefined)).toEqual({ break_glass: {} })
  expect(put(spec, ['break_glass'], undefined)).toEqual({})
})

test('items of a list keep their places when one says nothing', () => {
  const spec = { environments: [{ name: 'a' }, { name: 'b' }] }
  expect(put(spec, ['environments', 0, 'name'], '')).toEqual({ environments: [{}, { name: 'b' }] })
})

test('a path reads as the server writes it', () => {
  expect(textOf(['steps', 0, 'from'])).toBe('steps[0].from')
})

test('the order of fields makes no difference, the order of lists does', () => {
  expect(same({ a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 })).toBe(true)
  expect(same({ a: [1, 2] }, { a: [2, 1] })).toBe(false)
})
