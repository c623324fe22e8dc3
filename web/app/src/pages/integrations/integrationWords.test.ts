import { expect, test } from 'vitest'
import { labelsFrom, secretsOf, targetOf } from './integrationWords'

test('labels are read line by line, and nothing is guessed', () => {
  expect(labelsFrom('team=pay\nenv=prod\n')).toEqual({ team: 'pay', env: 'prod' })
  expect(labelsFrom('a=b=c')).toEqual({ a: 'b=c' })
  expect(labelsFrom('team')).toBeUndefined()
  expect(labelsFrom('=x')).toBeUndefined()
  expect(labelsFrom(' \n')).toBeUndefined()
})

test('a mapping says for which secrets it is, and what is watched', () => {
  expect(secretsOf({ connection: 'file', ref: 'prod/db' })).toBe('file/prod/db')
  expect(secretsOf({ connection: 'file', labels: { team: 'pay', env: 'prod' } })).toBe(
    'file, with team=pay and env=prod',
  )
  expect(targetOf({ target: { kind: 'Application', namespace: 'argocd', name: 'shop' } })).toBe('argocd/shop')
  expect(targetOf({ target: { kind: 'Namespace', name: 'shop', selector: 'app=web' } })).toBe('shop, with app=web')
})
