import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { makeOutbox, reduce, type Verdict } from './outbox'

const verdict = (request: string): Verdict => ({ key: `key of ${request}`, request, says: 'approve' })

class NoLine extends Error {}

function box(answers: (verdict: Verdict, leaving: boolean) => Promise<unknown>) {
  const sent: string[] = []
  const settled: string[] = []
  const outbox = makeOutbox({
    send: (given, leaving) => {
      sent.push(`${given.key}${leaving ? ', leaving' : ''}`)
      return answers(given, leaving)
    },
    unheard: (error) => error instanceof NoLine,
    settled: (given, error) =>
      settled.push(error instanceof Error ? `${given.request}: ${error.message}` : given.request),
    delay: 5_000,
    patience: 3_000,
  })
  return { outbox, sent, settled }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('a verdict that is taken back is never sent', async () => {
  const { outbox, sent } = box(async () => undefined)
  const id = outbox.say([verdict('a')])
  await vi.advanceTimersByTimeAsync(4_999)
  expect(outbox.undo(id)).toBe(true)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(sent).toEqual([])
  expect(outbox.get()).toEqual([])
})

test('a verdict is sent once when its time is over, and cannot be taken back from then on', async () => {
  let answer = () => {}
  const { outbox, sent, settled } = box(() => new Promise<void>((done) => (answer = done)))
  const id = outbox.say([verdict('a')])
  await vi.advanceTimersByTimeAsync(5_000)
  expect(outbox.undo(id)).toBe(false)
  void outbox.flush(true)
  answer()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(sent).toEqual(['key of a'])
  expect(settled).toEqual(['a'])
  expect(outbox.get()).toEqual([])
})

test('who leaves the page sends at once all that waits, in calls that outlive it', async () => {
  const { outbox, sent } = box(() => new Promise(() => {}))
  outbox.say([verdict('a'), verdict('b')])
  outbox.say([verdict('c')])
  void outbox.flush(true)
  expect(sent).toEqual(['key of a, leaving', 'key of b, leaving', 'key of c, leaving'])
})

test('a broken line loses no verdict and doubles none: it is sent again with its key, and the rest after it', async () => {
  let broken = true
  const { outbox, sent, settled } = box(async (given) => {
    if (given.request === 'b' && broken) throw new NoLine()
  })
  outbox.say([verdict('a'), verdict('b'), verdict('c')], true)
  await vi.advanceTimersByTimeAsync(0)
  expect(outbox.get()).toMatchObject([{ phase: 'held', verdicts: [{ request: 'b' }, { request: 'c' }] }])
  await vi.advanceTimersByTimeAsync(3_000)
  expect(sent).toEqual(['key of a', 'key of b', 'key of b'])
  broken = false
  outbox.resume()
  await vi.advanceTimersByTimeAsync(0)
  expect(sent.slice(3)).toEqual(['key of b', 'key of c'])
  expect(settled).toEqual(['a', 'b', 'c'])
})

test('a refusal is told, and ends only its own verdict', async () => {
  const { outbox, settled } = box(async (given) => {
    if (given.request === 'a') throw new Error('Ben was first')
  })
  outbox.say([verdict('a'), verdict('b')], true)
  await vi.advanceTimersByTimeAsync(0)
  expect(settled).toEqual(['a: Ben was first', 'b'])
  expect(outbox.get()).toEqual([])
})

test('a step that does not fit changes nothing', () => {
  const said = reduce([], { do: 'say', id: '1', verdicts: [verdict('a')], due: 5 })
  expect(reduce(said, { do: 'say', id: '1', verdicts: [verdict('b')], due: 9 })).toBe(said)
  expect(reduce(said, { do: 'hold', id: '1' })).toBe(said)
  expect(reduce(said, { do: 'answered', id: '2', key: 'key of a' })).toBe(said)
  const sending = reduce(said, { do: 'send', id: '1' })
  expect(reduce(sending, { do: 'undo', id: '1' })).toBe(sending)
  expect(reduce(sending, { do: 'send', id: '1' })).toBe(sending)
})
