// What can become of one value between the question and its end, as a pure function: no clock, no
// network, no document. Who runs it (run.ts) wipes whatever a step lets go of.

/** Opened is a value in the clear. */
export interface Opened {
  kind: 'text' | 'binary'
  bytes: Uint8Array
}

/** How long a value stays, in milliseconds. Only holding it in sight stops the count. */
export const stay = 30_000

/**
 * The longest step between two ticks for which holding stops the count, in milliseconds. Ticks come four
 * times a second; after a longer one this machine slept, and nobody was holding anything.
 */
export const longestStep = 2_000

export interface Held {
  /** masked until it is shown for the first time, hidden between two looks. */
  at: 'masked' | 'showing' | 'hidden'
  value: Opened
  /** It is in sight for as long as somebody holds a button, and not until they press it again. */
  holding: boolean
  /** Of `stay`, at the moment `counted`. */
  left: number
  counted: number
  /** The envelope's own end, exclusive: no holding goes beyond it. */
  end: number
  /** When it was opened. All moments are the server's clock, in milliseconds since 1970. */
  opened: number
}

export type State =
  | { at: 'ready' }
  | { at: 'fetching' }
  | { at: 'proving' }
  | Held
  | { at: 'gone'; why: 'time' | 'done' | 'left'; opened?: number }
  | {
      at: 'failed'
      says: string /** To try is worth it. */
      again: boolean /** Nothing of it is stored any more. */
      used: boolean
    }

export type Event =
  | { is: 'ask' }
  | { is: 'wanted' } // a second factor
  | { is: 'proven' }
  | { is: 'declined' }
  | { is: 'arrived'; value: Opened; end: number; now: number }
  | { is: 'refused'; says: string; again: boolean; used: boolean }
  | { is: 'hold' | 'release' | 'press' | 'hide' | 'tick'; now: number }
  | { is: 'leave' } // the dialog closes, or the page goes

export const start: State = { at: 'ready' }

/** holds says whether a state has a value. */
export const holds = (state: State): state is Held => 'value' in state

/** step is the state after an event. One that means nothing in a state changes nothing. */
export function step(state: State, event: Event): State {
  switch (event.is) {
    case 'ask':
      return state.at === 'ready' || (state.at === 'failed' && state.again) ? { at: 'fetching' } : state
    case 'wanted':
      return state.at === 'fetching' || state.at === 'ready' || (state.at === 'failed' && state.again)
        ? { at: 'proving' }
        : state
    case 'proven':
      return state.at === 'proving' ? { at: 'fetching' } : state
    case 'declined':
      return state.at === 'proving' ? start : state
    case 'refused': {
      const { says, again, used } = event
      return state.at === 'fetching' || state.at === 'proving' ? { at: 'failed', says, again, used } : state
    }
    case 'arrived':
      return state.at === 'fetching' ? arrive(event) : state
    case 'leave':
      return leave(state)
    default:
      return holds(state) ? look(count(state, event.now), event.is) : state
  }
}

function arrive({ value, end, now }: Extract<Event, { is: 'arrived' }>): State {
  if (now >= end) return { at: 'gone', why: 'time', opened: now }
  return { at: 'masked', value, holding: false, left: stay, counted: now, end, opened: now }
}

function leave(state: State): State {
  if (holds(state)) return { at: 'gone', why: 'done', opened: state.opened }
  if (state.at === 'fetching') return { at: 'gone', why: 'left' } // it may be used up by now
  return state.at === 'proving' ? start : state
}

/** count brings the time that is left up to now. */
function count(state: Held, now: number): State {
  const passed = Math.max(0, now - state.counted)
  const paused = state.holding && passed <= longestStep
  const left = paused ? state.left : state.left - passed
  if (left <= 0 || now >= state.end) return { at: 'gone', why: 'time', opened: state.opened }
  return { ...state, left, counted: now }
}

function look(state: State, event: 'hold' | 'release' | 'press' | 'hide' | 'tick'): State {
  if (!holds(state)) return state
  const away: Held = { ...state, at: state.at === 'masked' ? 'masked' : 'hidden', holding: false }
  switch (event) {
    case 'hold':
      return { ...state, at: 'showing', holding: true }
    case 'release':
      return state.holding ? away : state
    case 'press':
      return state.at === 'showing' ? away : { ...state, at: 'showing', holding: false }
    case 'hide':
      return away
    case 'tick':
      return state
  }
}
