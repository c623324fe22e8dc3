import { MantineProvider } from '@mantine/core'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { render, waitFor } from '@testing-library/react'
import { expect, test, vi } from 'vitest'
import { SignInAgain } from './SignInAgain'
import { entered, expired, sessionState } from './state'
import type { Me } from './who'

const ana = { id: 'u_ana', name: 'Ana', email: 'ana@example.org' } as Me

test('who signed in in another tab goes on here as well, and nobody else does', async () => {
  entered(ana.id)
  expired()
  let cookieOf = 'u_bob'
  const asked: string[] = []
  vi.stubGlobal('fetch', async (request: Request) => {
    if (!request.url.endsWith('/me')) return Response.json({ password: true })
    asked.push(request.headers.get('Sb-Person') ?? '')
    if (asked.at(-1) !== cookieOf) return Response.json({ code: 'session_expired', detail: 'no' }, { status: 401 })
    return Response.json(ana)
  })
  render(
    <MantineProvider>
      <QueryClientProvider client={new QueryClient()}>
        <SignInAgain me={ana} />
      </QueryClientProvider>
    </MantineProvider>,
  )
  window.dispatchEvent(new Event('focus'))
  await waitFor(() => expect(asked).toEqual(['u_ana']))
  expect(sessionState.get()).toBe('expired')
  cookieOf = 'u_ana'
  window.dispatchEvent(new Event('focus'))
  await waitFor(() => expect(sessionState.get()).toBe('in'))
})
