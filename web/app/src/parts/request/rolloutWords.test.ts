import { expect, test } from 'vitest'
import { live, nameOf, problem, proof, standing, type Watch, whole } from './rolloutWords'

const watch: Watch = {
  number: 1,
  integration: 'argo',
  kind: 'argo-cd',
  target: { kind: 'Application', namespace: 'argocd', name: 'shop' },
  state: 'watching',
  live: 0,
  total: 0,
  laggards: [],
}

test('pods are counted only when the new version is in the cluster', () => {
  expect(live({ ...watch, live: 0, total: 14 })).toBe('The new version is not seen in the cluster yet')
  expect(live({ ...watch, reached_at: '2026-11-24T10:01:20Z', live: 12, total: 14 })).toBe('Live on 12 of 14 pods')
  expect(live({ ...watch, reached_at: '2026-11-24T10:01:20Z', live: 1, total: 1 })).toBe('Live on 1 of 1 pod')
  expect(live({ ...watch, reached_at: '2026-11-24T10:01:20Z' })).toBe('In the cluster; no pod uses it')
})

test('a change that some pods have not taken is never called live as a whole', () => {
  expect(whole({ state: 'watching', live: 12, total: 14 })).toBe('Live on 12 of 14')
  expect(whole({ state: 'applied_unverified', live: 12, total: 14 })).toBe('Written, live on 12 of 14')
  expect(whole({ state: 'applied_unverified', live: 0, total: 0 })).toBe('Written, not verified')
  expect(whole({ state: 'failed', live: 14, total: 14 })).toBe('An application failed')
  expect(whole({ state: 'applied', live: 14, total: 14 })).toBe('Live on 14 of 14')
})

test('what was not seen is left out', () => {
  expect(standing(watch)).toBeUndefined()
  expect(standing({ sync: 'Synced', health: 'Healthy' })).toBe('Synced, Healthy')
  expect(proof(watch)).toBeUndefined()
  expect(problem(watch)).toBeUndefined()
  expect(nameOf(watch)).toBe('argocd/shop')
  expect(nameOf({ target: { kind: 'Namespace', name: 'shop' } })).toBe('shop')
})
