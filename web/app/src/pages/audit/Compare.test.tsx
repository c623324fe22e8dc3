import { MantineProvider } from '@mantine/core'
import { fireEvent, render, screen, waitFor } from '@testing-library/react'
import { expect, test, vi } from 'vitest'
import { Compare } from './Compare'

const lines = (...said: unknown[]) =>
  new Response(said.map((line) => `${JSON.stringify(line)}\n`).join(''), {
    headers: { 'Content-Type': 'application/x-ndjson' },
  })

const same = { outcome: { up_to: 1234, differences: 0, named: 0, tables: [], seconds: 2.4 } }

const row = {
  difference: {
    table: 'views.requests',
    kind: 'changed',
    key: [{ name: 'id', value: 'r_1' }],
    columns: [
      { name: 'state', live: 'approved', refolded: 'pending' },
      { name: 'ended_at', live: '2026-01-01', refolded: null },
    ],
  },
}

const one = { outcome: { up_to: 1234, differences: 1, named: 1, tables: ['views.requests'], seconds: 0.2 } }

/** comparing shows the page and begins, and each call is answered with what comes next. */
function comparing(...answers: (Response | Promise<Response>)[]) {
  const signals: AbortSignal[] = []
  vi.stubGlobal('fetch', (request: Request) => {
    signals.push(request.signal)
    const aborted = new Promise<Response>((_, fail) => {
      request.signal.addEventListener('abort', () => fail(request.signal.reason))
    })
    return Promise.race([answers.shift() ?? aborted, aborted])
  })
  const shown = render(
    <MantineProvider>
      <Compare />
    </MantineProvider>,
  )
  fireEvent.click(screen.getByRole('button', { name: 'Compare now' }))
  return { signals, leave: shown.unmount }
}

test('while it runs it says so, and it can be stopped', async () => {
  const { signals } = comparing(new Promise(() => undefined))
  await screen.findByText(/being folded and compared/)
  expect(screen.queryByRole('alert')).toBeNull()
  fireEvent.click(screen.getByRole('button', { name: 'Stop' }))
  await waitFor(() => expect(screen.queryByRole('button', { name: 'Stop' })).toBeNull())
  expect(signals[0]?.aborted).toBe(true)
  expect(screen.queryByRole('alert')).toBeNull()
  expect(screen.getByRole('button', { name: 'Compare now' })).toBeTruthy()
})

test('leaving the page ends the comparison', async () => {
  const { signals, leave } = comparing(new Promise(() => undefined))
  await waitFor(() => expect(signals).toHaveLength(1))
  leave()
  await waitFor(() => expect(signals[0]?.aborted).toBe(true))
})

test('where nothing differs it says up to which commit', async () => {
  comparing(lines(same))
  await screen.findByText('Nothing differs')
  expect(screen.getByText(/Compared up to commit 1,234, in 2 seconds/)).toBeTruthy()
  expect(screen.queryByRole('list')).toBeNull()
})

test('a row that differs is named by table and key, with what it holds and what the log says', async () => {
  comparing(lines(row, one))
  await screen.findByText('1 row differs from what the log says')
  const list = screen.getByRole('list', { name: 'Rows that differ' })
  for (const text of ['views.requests', 'Changed', 'id=r_1', 'state: approved, and the log says pending', 'nothing'])
    expect(list.textContent).toContain(text)
})

test.each([
  ['the outcome', () => lines(row)],
  ['the end of a line', () => new Response(`${JSON.stringify(row)}\n{"outcome":{"up_`)],
  ['everything', () => new Response('')],
])('an answer that lacks %s says nothing about the rows', async (_, answer) => {
  comparing(answer(), lines(same))
  await screen.findByText(/broke off before the comparison ended/)
  expect(screen.queryByText(/differs/)).toBeNull()
  fireEvent.click(screen.getByRole('button', { name: 'Compare again' }))
  await screen.findByText('Nothing differs')
})

test('a refusal is shown in its own words', async () => {
  const detail = 'the log is being compared with the views already; wait for that to end'
  comparing(Response.json({ code: 'too_many_requests', status: 429, detail }, { status: 429 }))
  await screen.findByText('The log is being compared with the views already; wait for that to end.')
})
