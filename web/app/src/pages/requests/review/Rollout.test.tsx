import { MantineProvider } from '@mantine/core'
import { render, screen } from '@testing-library/react'
import { expect, test } from 'vitest'
import { request } from '../../../parts/request/examples'
import type { Rollout as Rolled } from '../../../parts/request/rolloutWords'
import { Rollout } from './Rollout'

const rollout: Rolled = {
  state: 'applied_unverified',
  written_at: '2026-11-24T10:01:01Z',
  until: '2026-11-24T10:31:01Z',
  left: 1,
  live: 12,
  total: 14,
  watches: [
    {
      number: 1,
      integration: 'argo',
      kind: 'argo-cd',
      target: { kind: 'Application', namespace: 'argocd', name: 'shop' },
      state: 'applied_unverified',
      sync: 'Synced',
      health: 'Healthy',
      reached_at: '2026-11-24T10:01:20Z',
      proof: 'external_secret_refreshed',
      live: 12,
      total: 14,
      laggards: ['shop/web-2xkq7', 'shop/web-9vhzt'],
      link: 'https://argo.example.com/applications/argocd/shop',
    },
  ],
}

const show = (of: Parameters<typeof request>[0]) =>
  render(
    <MantineProvider>
      <Rollout request={request(of)} />
    </MantineProvider>,
  )

test('a change that some pods have not taken says so, and names them', () => {
  show({ operation: 'patch', state: 'applied_unverified', rollout })
  expect(screen.getByText(/Written, live on 12 of 14/)).toBeTruthy()
  expect(screen.getByText('Live on 12 of 14 pods')).toBeTruthy()
  expect(screen.getByText('shop/web-2xkq7')).toBeTruthy()
  expect(screen.getByText(/its ExternalSecret was refreshed/)).toBeTruthy()
  expect(screen.getByText(/1 more application uses the secret and is not watched/)).toBeTruthy()
  const link = screen.getByRole('link', { name: /Open in Argo CD/ })
  expect(link.getAttribute('rel')).toContain('noreferrer')
})

test('a request that nothing is watched for shows nothing of it', () => {
  show({ operation: 'patch', state: 'executed' })
  expect(screen.queryByText('Rollout')).toBeNull()
})
