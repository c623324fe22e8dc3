import { expect, test } from 'vitest'
import { type Event, type Held, holds, longestStep, type Opened, type State, start, stay, step } from './machine'

const now = Date.parse('2026-11-24T12:00:00Z')
const end = now + 900_000
const value: Opened = { kind: 'text', bytes: new TextEncoder().encode('a value') }

const masked: Held = { at: 'masked', value, holding: false, left: stay, counted: now, end, opened: now }
const hidden: Held = { ...masked, at: 'hidden' }
const held: Held = { ...masked, at: 'showing', holding: true }
const pressed: Held = { ...masked, at: 'showing' }

const states: Record<string, State> = {
  ready: start,
  fetching: { at: 'fetching' },
  proving: { at: 'proving' },
  masked,
  held,
  pressed,
  hidden,
  gone: { at: 'gone', why: 'time', opened: now },
  failed: { at: 'failed', says: 'Try again.', again: true, used: false },
  used: { at: 'failed', says: 'It was shown once.', again: false, used: true },
}

const events: Record<string, Event> = {
  ask: { is: 'ask' },
  wanted: { is: 'wanted' },
  proven: { is: 'proven' },
  declined: { is: 'declined' },
  arrived: { is: 'arrived', value, end, now },
  refused: { is: 'refused', says: 'No.', again: true, used: false },
  hold: { is: 'hold', now },
  release: { is: 'release', now },
  press: { is: 'press', now },
  hide: { is: 'hide', now },
  tick: { is: 'tick', now },
  leave: { is: 'leave' },
}

/** Where each event leads from each state, in the order of `events`; "." stays. */
const table: Record<string, string> = {
  //        ask      wanted  proven   declined arrived refused hold    release press   hide    tick leave
  ready: '  fetching proving .        .        .       .       .       .       .       .       .    .',
  fetching: '.       proving .        .        masked  failed  .       .       .       .       .    gone',
  proving: '.        .       fetching ready    .       failed  .       .       .       .       .    ready',
  masked: ' .        .       .        .        .       .       showing .       showing .       .    gone',
  held: '   .        .       .        .        .       .       .       hidden  hidden  hidden  .    gone',
  pressed: '.        .       .        .        .       .       .       .       hidden  hidden  .    gone',
  hidden: ' .        .       .        .        .       .       showing .       showing .       .    gone',
  gone: '   .        .       .        .        .       .       .       .       .       .       .    .',
  failed: ' fetching proving .        .        .       .       .       .       .       .       .    .',
  used: '   .        .       .        .        .       .       .       .       .       .       .    .',
}

for (const [from, row] of Object.entries(table)) {
  test(`${from} takes each event as the table says`, () => {
    const before = states[from] as State
    const leads = Object.values(events).map((event) => {
      const after = step(before, event)
      return after.at === before.at && (after === before || holds(after)) ? '.' : after.at
    })
    expect(leads).toEqual(row.trim().split(/\s+/))
  })
}

test('the time runs while it is masked, hidden or shown by a press, and stands still while it is held', () => {
  for (const state of [masked, hidden, pressed]) {
    expect(step(state, { is: 'tick', now: now + 1_000 })).toMatchObject({ at: state.at, left: stay - 1_000 })
  }
  const later = step(held, { is: 'tick', now: now + 1_000 }) as Held
  expect(later).toMatchObject({ at: 'showing', left: stay })
  expect(step(later, { is: 'release', now: now + 2_000 })).toMatchObject({ at: 'hidden', left: stay })
})

test('the time is over after thirty seconds, also when nothing ticked in between', () => {
  expect(step(masked, { is: 'tick', now: now + stay - 1 }).at).toBe('masked')
  expect(step(masked, { is: 'tick', now: now + stay })).toEqual({ at: 'gone', why: 'time', opened: now })
  expect(step(masked, { is: 'press', now: now + stay })).toMatchObject({ at: 'gone' })
})

test('a machine that slept was not holding anything', () => {
  expect(step(held, { is: 'tick', now: now + longestStep + 1 })).toMatchObject({ left: stay - longestStep - 1 })
  expect(step(held, { is: 'tick', now: now + 2 * stay })).toMatchObject({ at: 'gone' })
})

test('no holding goes beyond the end of the envelope', () => {
  let state: State = { ...held, end: now + 3_000 }
  for (let at = now; at < now + 3_000; at += 250) state = step(state, { is: 'tick', now: at })
  expect(state.at).toBe('showing')
  expect(step(state, { is: 'tick', now: now + 3_000 })).toMatchObject({ at: 'gone', why: 'time' })
  expect(step({ at: 'fetching' }, { is: 'arrived', value, end: now, now })).toMatchObject({ at: 'gone' })
})

test('a clock that goes back gives no time', () => {
  expect(step(masked, { is: 'tick', now: now - 60_000 })).toMatchObject({ left: stay })
})

test('whatever happens, a value comes once, and what is gone has none and stays gone', () => {
  const random = xorshift(0x5eed)
  const names = Object.keys(events)
  const faults: string[] = []
  for (let round = 0; round < 2_000; round++) {
    let state = start
    let at = now
    for (let i = 0; i < 40; i++) {
      at += random() % 4_000
      const event = { ...(events[names[random() % names.length] as string] as Event) }
      if ('now' in event) event.now = at
      const before = state
      state = step(before, event)
      const comes = holds(state) && !holds(before)
      if (comes && !(before.at === 'fetching' && event.is === 'arrived')) faults.push(`a value by ${event.is}`)
      if (before.at === 'gone' && state.at !== 'gone') faults.push(`back from the end by ${event.is}`)
      if (!holds(state) && Object.values(state).includes(value)) faults.push(`a value in ${state.at}`)
    }
  }
  expect(faults).toEqual([])
})

/** xorshift is a row of numbers that is the same in each run (Marsaglia, 2003). */
function xorshift(seed: number): () => number {
  let x = seed
  return () => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return x >>> 0
  }
}
