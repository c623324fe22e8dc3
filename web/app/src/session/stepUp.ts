// Some things need a fresh second factor: whoever does them proves one, in a dialog over the page, and
// then it is done. What is proved with never comes here.
import { codeOf } from '../api/problem'

/** Somebody closed the dialog: nothing was done. */
export class NotProved extends Error {
  override name = 'NotProved'

  constructor() {
    super('Nothing was sent, because it needs your second factor and you closed the question for it.')
  }
}

interface Asked {
  proof: Promise<void>
  proved: () => void
  dismissed: () => void
}

let asked: Asked | undefined
const listeners = new Set<() => void>()

function become(next: Asked | undefined) {
  asked = next
  for (const listener of listeners) listener()
}

/** askProof opens the dialog, or waits for the one that is open. Errors: NotProved. */
function askProof(): Promise<void> {
  if (asked) return asked.proof
  let proved = () => {}
  let dismissed = () => {}
  const proof = new Promise<void>((done, fail) => {
    proved = done
    dismissed = () => fail(new NotProved())
  })
  become({ proof, proved, dismissed })
  return proof
}

/** What the dialog shows, and says. */
export const stepUp = {
  open: () => asked !== undefined,
  subscribe(listener: () => void) {
    listeners.add(listener)
    return () => listeners.delete(listener)
  },
  proved() {
    asked?.proved()
    become(undefined)
  },
  dismissed() {
    asked?.dismissed()
    become(undefined)
  },
}

/**
 * withStepUp makes a call, and makes it again after a proof where the server asks for one. `first` asks
 * before the first call, where it is known that the server will. The call keeps its Idempotency-Key.
 */
export async function withStepUp<T>(call: () => Promise<T>, first = false): Promise<T> {
  if (first) await askProof()
  try {
    return await call()
  } catch (error) {
    if (codeOf(error) !== 'step_up_required') throw error
  }
  await askProof()
  return call()
}
