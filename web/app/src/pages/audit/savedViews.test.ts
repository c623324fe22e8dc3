import { expect, test } from 'vitest'
import { mostViews, parseViews, storedViews, withView } from './savedViews'

test('whatever is stored, only views come out of it', () => {
  for (const text of [
    null,
    '',
    'null',
    '7',
    '{}',
    '"?a"',
    '[',
    '[[[]]]',
    '[null, 7, "x", {}, {"name": 1, "query": "?"}]',
  ]) {
    expect(parseViews(text), String(text)).toEqual([])
  }
  const stored = [
    { name: ' Denials ', query: '?outcome=denied', token: 'kept by nobody' },
    { name: '', query: '?a=b' },
    { name: 'x'.repeat(61), query: '?a=b' },
    { name: 'elsewhere', query: 'https://evil.example/' },
    { name: 'long', query: `?text=${'x'.repeat(4001)}` },
    { name: 'All', query: '' },
  ]
  expect(parseViews(JSON.stringify(stored))).toEqual([
    { name: 'Denials', query: '?outcome=denied' },
    { name: 'All', query: '' },
  ])
})

test('a view of the same name takes the place of the old one, and there is an end to them', () => {
  let views = [{ name: 'a', query: '?x=1' }]
  views = withView(views, { name: 'a', query: '?x=2' })
  expect(views).toEqual([{ name: 'a', query: '?x=2' }])
  for (let i = 0; i < 30; i++) views = withView(views, { name: `view ${i}`, query: '' })
  expect(views).toHaveLength(mostViews)
  expect(parseViews(JSON.stringify(views))).toEqual(views)
  expect(withView(views, { name: 'a', query: '?x=3' })).toHaveLength(mostViews)
})

test('who comes next in the same browser is shown no views of others', () => {
  storedViews.write('u_ana', [{ name: 'payments', query: '?secret=file/prod/pay' }])
  expect(storedViews.read('u_bob')).toEqual([])
  expect(storedViews.read('u_ana')).toHaveLength(1)
})
