import { MantineProvider } from '@mantine/core'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { fireEvent, render, screen } from '@testing-library/react'
import { expect, test, vi } from 'vitest'
import { type Me, meQuery } from '../../session/who'
import { AddTotp } from './AddTotp'

const ana = { id: 'u_ana', name: 'Ana', email: 'ana@example.org' } as Me

test('who signed in long ago signs in again in the dialog, and the app is added', async () => {
  let fresh = false
  vi.stubGlobal('fetch', async (request: Request) => {
    const { pathname } = new URL(request.url)
    if (pathname.endsWith('/auth/methods')) return Response.json({ password: true })
    if (pathname.endsWith('/sessions')) {
      const sent = await request.json()
      fresh = sent.email === ana.email && sent.password === 'four odd old words' && sent.cookie
      return Response.json({ person: ana }, { status: 201 })
    }
    if (!fresh) return Response.json({ code: 'sign_in_stale', detail: 'sign in again: `sb login`' }, { status: 401 })
    return Response.json({ id: 'f_1', secret: 'JBSWY3DP', uri: 'otpauth://totp/x', until: '2030-01-01T00:00:00Z' })
  })
  const cache = new QueryClient()
  cache.setQueryData(meQuery.queryKey, ana)
  render(
    <MantineProvider>
      <QueryClientProvider client={cache}>
        <AddTotp close={() => undefined} />
      </QueryClientProvider>
    </MantineProvider>,
  )
  fireEvent.click(await screen.findByRole('button', { name: 'Continue' }))
  await screen.findByText(/Adding the first one needs a fresh sign-in/)
  expect(screen.queryByText(/sb login/)).toBeNull()
  fireEvent.change(screen.getByLabelText('Password'), { target: { value: 'four odd old words' } })
  fireEvent.click(screen.getByRole('button', { name: 'Sign in' }))
  await screen.findByLabelText(/First code of the app/)
})
