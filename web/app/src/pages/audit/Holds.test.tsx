import { MantineProvider } from '@mantine/core'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { fireEvent, render, screen, waitFor } from '@testing-library/react'
import { expect, test, vi } from 'vitest'
import { type Me, meQuery } from '../../session/who'
import { Holds } from './Holds'

const anna = { id: 'u_0123456789abcdefghjkmnpqrs', name: 'Anna', email: 'anna@example.org' }
const namesake = { id: 'u_1123456789abcdefghjkmnpqrs', name: 'Anna', email: 'other@example.org' }

// Roles are looked for in all of the document, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 30_000 })

// A field that grows with its text listens for fonts, of which this document has none.
Object.defineProperty(document, 'fonts', { value: new EventTarget() })

/** holding shows the holds to somebody with permissions. Each hold that is asked for is answered by place. */
function holding(permissions: string[], place: (asked: unknown) => Response) {
  const held: { id: string; user?: string; reason: string; by: string; at: string }[] = []
  const asked: unknown[] = []
  vi.stubGlobal('fetch', async (request: Request) => {
    const { pathname } = new URL(request.url)
    if (pathname.endsWith('/people')) return Response.json({ items: [anna, namesake] })
    if (pathname.endsWith('/audit/holds') && request.method === 'GET') return Response.json({ items: held })
    const body = (await request.json()) as { user?: string; reason: string }
    asked.push(body)
    const said = place(body)
    if (said.ok) held.push({ id: 'h_1', by: 'u_olu', at: '2026-01-01T00:00:00Z', ...body })
    return said
  })
  const cache = new QueryClient({ defaultOptions: { queries: { retry: false } } })
  cache.setQueryData(meQuery.queryKey, { id: 'u_olu', name: 'Olu', permissions } as unknown as Me)
  render(
    <MantineProvider env="test">
      <QueryClientProvider client={cache}>
        <Holds />
      </QueryClientProvider>
    </MantineProvider>,
  )
  return asked
}

async function choose(text: string, option: string) {
  fireEvent.click(await screen.findByRole('button', { name: 'Hold one person' }))
  const who = await screen.findByRole('combobox', { name: 'Who' })
  fireEvent.click(who)
  fireEvent.change(who, { target: { value: text } })
  fireEvent.click(await screen.findByRole('option', { name: option }))
  fireEvent.change(screen.getByLabelText('Reason'), { target: { value: ' case 2026-118 ' } })
  fireEvent.click(screen.getByRole('button', { name: 'Place the hold' }))
}

const auditor = ['audit.read', 'hold.manage', 'person.list']
const done = () => Response.json({ id: 'h_1' }, { status: 201 })

test('one person is held, and no namesake', async () => {
  const asked = holding(auditor, done)
  await choose('other', 'Anna (other@example.org)')
  await screen.findByText('case 2026-118')
  expect(asked).toEqual([{ user: namesake.id, reason: 'case 2026-118' }])
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
})

test('who may not list people holds by id', async () => {
  const asked = holding(['audit.read', 'hold.manage'], done)
  await choose(anna.id, anna.id)
  await screen.findByText('case 2026-118')
  expect(asked).toEqual([{ user: anna.id, reason: 'case 2026-118' }])
})

test('a refusal is shown, and what was typed stays', async () => {
  const detail = 'this person was erased'
  holding(auditor, () => Response.json({ code: 'person_erased', status: 409, detail }, { status: 409 }))
  await choose('anna@', 'Anna (anna@example.org)')
  await screen.findByText('This person was erased.')
  expect((screen.getByLabelText('Reason') as HTMLTextAreaElement).value).toBe(' case 2026-118 ')
})

test('who may not place holds is told so, and nothing opens', async () => {
  holding(['audit.read'], done)
  const button = await screen.findByRole('button', { name: 'Hold one person' })
  expect(button.getAttribute('aria-description')).toContain('hold.manage')
  fireEvent.click(button)
  expect(screen.queryByRole('dialog')).toBeNull()
})
