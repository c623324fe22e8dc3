import { IconKey } from '@tabler/icons-react'
import { expect, test } from 'vitest'
import { type Choice, matching } from './choices'
import { recentlyVisited, visited } from './recent'

const choice = (label: string, words = ''): Choice => ({ id: label, label, words, icon: IconKey, run: () => undefined })

const labels = (choices: Choice[], text: string) => matching(choices, text).map(({ label }) => label)

test('every typed word must be there, in any order and case, and what begins with them comes first', () => {
  const choices = [choice('Roles & people', 'users'), choice('People of the team'), choice('Audit')]
  expect(labels(choices, 'PEOPLE')).toEqual(['People of the team', 'Roles & people'])
  expect(labels(choices, ' users  roles ')).toEqual(['Roles & people'])
  expect(labels(choices, '')).toHaveLength(3)
  expect(labels(choices, 'people audit')).toEqual([])
})

test('what was looked at last comes first and once, and only pages of one thing are remembered', () => {
  const request = (n: number) => `/requests/r_${String(n).repeat(26)}`
  for (const path of ['/audit', '/requests/new', '/requests/r_short', '/settings', `${request(1)}/edit`]) visited(path)
  expect(recentlyVisited()).toEqual([])
  for (let n = 0; n < 9; n++) visited(request(n))
  visited(request(5))
  visited('/connections/file-2')
  expect(recentlyVisited().map(({ path }) => path)).toEqual([
    '/connections/file-2',
    request(5),
    ...[8, 7, 6, 4].map(request),
  ])
  expect(recentlyVisited()[0]).toMatchObject({ section: 'connections', id: 'file-2' })
  expect(recentlyVisited()[1]).toMatchObject({ section: 'requests', id: `r_${'5'.repeat(26)}` })
})
