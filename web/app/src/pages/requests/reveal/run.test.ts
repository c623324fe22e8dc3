import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Opened, stay } from './machine'
import { newReveal, type Reveal } from './run'

let reveal: Reveal
let value: Opened

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse('2026-11-24T12:00:00Z') })
  value = { kind: 'text', bytes: new TextEncoder().encode('pw-5f0b2c') }
  reveal = newReveal(Date.now)
})

afterEach(() => {
  reveal.stop()
  vi.useRealTimers()
})

function arrive(life = 900_000) {
  reveal.send({ is: 'ask' })
  reveal.send({ is: 'arrived', value, end: Date.now() + life, now: Date.now() })
}

const zeros = () => value.bytes.every((byte) => byte === 0)

test('a value is overwritten in the moment its time is over', () => {
  arrive()
  vi.advanceTimersByTime(stay - 300)
  expect([reveal.get().at, zeros()]).toEqual(['masked', false])
  vi.advanceTimersByTime(600)
  expect([reveal.get().at, zeros()]).toEqual(['gone', true])
  expect(vi.getTimerCount()).toBe(0)
})

test('while somebody holds it the time stands still, up to the end of the envelope', () => {
  arrive(60_000)
  reveal.send({ is: 'hold', now: Date.now() })
  vi.advanceTimersByTime(59_000)
  expect(reveal.get()).toMatchObject({ at: 'showing', left: stay })
  vi.advanceTimersByTime(1_250)
  expect([reveal.get().at, zeros()]).toEqual(['gone', true])
})

test('it is out of sight when the window is, and overwritten when the page goes', () => {
  for (const away of [
    () => window.dispatchEvent(new Event('blur')),
    () => {
      vi.spyOn(document, 'visibilityState', 'get').mockReturnValue('hidden')
      document.dispatchEvent(new Event('visibilitychange'))
    },
  ]) {
    if (reveal.get().at === 'ready') arrive()
    reveal.send({ is: 'press', now: Date.now() })
    expect(reveal.get().at).toBe('showing')
    away()
    expect(reveal.get().at).toBe('hidden')
  }
  window.dispatchEvent(new Event('pagehide'))
  expect([reveal.get().at, zeros()]).toEqual(['gone', true])
})

test('a value that comes after the dialog closed is overwritten unseen', () => {
  reveal.send({ is: 'ask' })
  reveal.stop()
  reveal.send({ is: 'arrived', value, end: Date.now() + 900_000, now: Date.now() })
  expect([reveal.get().at, zeros()]).toEqual(['gone', true])
})
