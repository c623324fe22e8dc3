import { beforeEach, expect, test, vi } from 'vitest'
import { Refusal, Unreachable } from '../../../api/problem'
import { type Change, Fault, newSending, type Proposed } from './sealing'

const sealed: { key: string; request: string; bytes: Uint8Array }[] = []

vi.mock('../../../seal', async (original) => ({
  ...(await original<typeof import('../../../seal')>()),
  openIntake: async () => ({}),
  sealProposal: async (_: unknown, to: { key: string; request: string }, __: string, bytes: Uint8Array) => {
    sealed.push({ key: to.key, request: to.request, bytes })
    return `sealed ${sealed.length}`
  },
}))
vi.stubGlobal('fetch', async () => Response.json({}))

const to = { secret: 'file/prod/db', me: 'u_1' }
const value = () => Promise.resolve({ kind: 'text' as const, bytes: new TextEncoder().encode('pw-1d7f') })
const changes: Change[] = [
  { key: 'password', action: 'set', value },
  { key: 'legacy', action: 'unset' },
]
const refusal = (code: string, status: number) =>
  new Refusal({ type: `about:blank#${code}`, title: 'No', status, detail: 'no', code } as never)

beforeEach(() => {
  sealed.length = 0
})

/** posts answers calls one after the other, and keeps what came. */
function posts(...answers: (Error | string)[]) {
  const came: { key: string; changes: Proposed[] }[] = []
  const post = async (made: Proposed[], key: string) => {
    came.push({ key, changes: made })
    const answer = answers.shift()
    if (answer instanceof Error) throw answer
    return answer
  }
  return { came, post }
}

test('values are sealed for their call, and overwritten here', async () => {
  const { came, post } = posts('done')
  expect(await newSending().send(to, changes, post)).toBe('done')
  expect(came[0]?.changes).toEqual([
    { key: 'password', action: 'set', sealed: 'sealed 1' },
    { key: 'legacy', action: 'unset' },
  ])
  expect(sealed[0]?.request).toBe(came[0]?.key)
  expect(sealed[0]?.bytes.every((byte) => byte === 0)).toBe(true)
})

test('when nobody knows what became of a call, the same one is sent again', async () => {
  for (const lost of [new Unreachable(), refusal('unavailable', 503), refusal('idempotency_in_flight', 409)]) {
    const sending = newSending()
    const { came, post } = posts(lost, 'done')
    await expect(sending.send(to, changes, post)).rejects.toBe(lost)
    await sending.send(to, changes, post)
    expect(came[1]).toEqual(came[0])
  }
})

test('after an answer, and after something else was typed, there is a new call', async () => {
  for (const [no, edit] of [
    [refusal('reason_too_short', 422), false],
    [refusal('session_expired', 401), false],
    [new Unreachable(), true],
  ] as const) {
    const sending = newSending()
    const { came, post } = posts(no, 'done')
    await expect(sending.send(to, changes, post)).rejects.toBe(no)
    if (edit) sending.changed()
    await sending.send(to, changes, post)
    expect(came[1]?.key).not.toBe(came[0]?.key)
    expect(sealed.at(-1)?.request).toBe(came[1]?.key)
  }
})

test('keys that changed in this moment are fetched again, once', async () => {
  const gone = refusal('intake_key_unknown', 409)
  const { came, post } = posts(gone, 'done')
  expect(await newSending().send(to, changes, post)).toBe('done')
  expect(new Set(came.map(({ key }) => key)).size).toBe(2)
  const again = posts(gone, gone, 'done')
  await expect(newSending().send(to, changes, again.post)).rejects.toBe(gone)
})

test('what cannot be read is told by its key, and nothing is sent', async () => {
  const { came, post } = posts('done')
  const fault = new Fault('password', 'Type the new value.')
  const bad: Change[] = [{ key: 'password', action: 'set', value: () => Promise.reject(fault) }]
  await expect(newSending().send(to, bad, post)).rejects.toBe(fault)
  expect(came).toEqual([])
})
