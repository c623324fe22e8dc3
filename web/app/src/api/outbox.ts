// Verdicts that were given and may still be taken back. Taking one back means that it is never sent;
// nothing undoes what was. A verdict that meets a broken line waits here, with its key, and happens once.

export interface Verdict {
  /** The Idempotency-Key it is sent with, however often. */
  key: string
  request: string
  says: 'approve' | 'reject'
  comment?: string | undefined
  /** Of the approval of a patch: the number of the comparison that was looked at. */
  comparison?: number | undefined
}

/**
 * waiting: it can be taken back. sending: it is on its way. held: no answer came, so it may or may not
 * have been done; it is sent again, with the same key, when the line is back.
 */
export type Phase = 'waiting' | 'sending' | 'held'

/** What was said in one go: one verdict, or the approval of several requests. */
export interface Entry {
  id: string
  verdicts: readonly Verdict[]
  phase: Phase
  /** When it is sent, in milliseconds of this machine's clock. */
  due: number
}

export type Entries = readonly Entry[]

export type Step =
  | { do: 'say'; id: string; verdicts: readonly Verdict[]; due: number }
  | { do: 'undo'; id: string }
  | { do: 'send'; id: string }
  | { do: 'answered'; id: string; key: string }
  | { do: 'hold'; id: string }

/** reduce is what waits after a step. A step that does not fit changes nothing. */
export function reduce(entries: Entries, step: Step): Entries {
  const entry = entries.find((other) => other.id === step.id)
  if (step.do === 'say') {
    const { id, verdicts, due } = step
    return entry || verdicts.length === 0 ? entries : [...entries, { id, verdicts, due, phase: 'waiting' }]
  }
  if (!entry) return entries
  const become = (next: Entry | undefined): Entries =>
    entries.flatMap((other) => (other === entry ? (next ? [next] : []) : [other]))
  switch (step.do) {
    case 'undo':
      return entry.phase === 'waiting' ? become(undefined) : entries
    case 'send':
      return entry.phase === 'sending' ? entries : become({ ...entry, phase: 'sending' })
    case 'hold':
      return entry.phase === 'sending' ? become({ ...entry, phase: 'held' }) : entries
    case 'answered': {
      const verdicts = entry.verdicts.filter((verdict) => verdict.key !== step.key)
      return become(verdicts.length > 0 ? { ...entry, verdicts } : undefined)
    }
  }
}

interface Ways {
  /** Sends one verdict. `leaving`: the page is about to go, and the call has to outlive it. */
  send: (verdict: Verdict, leaving: boolean) => Promise<unknown>
  /** Whether an error means that it is not known what became of it, or that it was not heard at all. */
  unheard: (error: unknown) => boolean
  /** Told of every verdict once: done, or refused with an error. What it returns is waited for. */
  settled: (verdict: Verdict, error?: unknown) => unknown
  /** How long a verdict can be taken back, in milliseconds. */
  delay: number
  /** How long after a broken line it is sent again, in milliseconds. */
  patience: number
}

export interface Outbox {
  get: () => Entries
  subscribe: (listener: () => void) => () => void
  /** say takes verdicts, and answers with the id of the entry. `now` leaves no time to take them back. */
  say: (verdicts: readonly Verdict[], now?: boolean) => string
  /** undo takes back what still can be, and reports whether it was. */
  undo: (id: string) => boolean
  /** flush sends at once whatever waits, and ends when all of it was tried. */
  flush: (leaving?: boolean) => Promise<unknown>
  /** resume sends again what a broken line held back. */
  resume: () => void
}

export function makeOutbox({ send, unheard, settled, delay, patience }: Ways): Outbox {
  let entries: Entries = []
  let made = 0
  const timers = new Map<string, ReturnType<typeof setTimeout>>()
  const listeners = new Set<() => void>()

  const take = (step: Step) => {
    const next = reduce(entries, step)
    if (next === entries) return false
    entries = next
    for (const listener of listeners) listener()
    return true
  }
  const later = (id: string, wait: number) => {
    clearTimeout(timers.get(id))
    timers.set(
      id,
      setTimeout(() => void go(id, false), wait),
    )
  }
  const go = async (id: string, leaving: boolean) => {
    clearTimeout(timers.get(id))
    timers.delete(id)
    if (!take({ do: 'send', id })) return
    const verdicts = entries.find((entry) => entry.id === id)?.verdicts ?? []
    // The page may be gone before the first answer: then all are sent at once.
    const answers = verdicts.map((verdict) => () => one(id, verdict, leaving))
    let heard = true
    if (leaving) heard = (await Promise.all(answers.map((ask) => ask()))).every(Boolean)
    else for (const ask of answers) heard = heard && (await ask())
    if (!heard && take({ do: 'hold', id })) later(id, patience)
  }
  const one = async (id: string, verdict: Verdict, leaving: boolean): Promise<boolean> => {
    try {
      await send(verdict, leaving)
      await settled(verdict)
    } catch (error) {
      if (unheard(error)) return false
      await settled(verdict, error)
    }
    take({ do: 'answered', id, key: verdict.key })
    return true
  }
  return {
    get: () => entries,
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    say(verdicts, now = false) {
      const id = `verdicts-${++made}`
      const wait = now ? 0 : delay
      if (take({ do: 'say', id, verdicts, due: Date.now() + wait })) {
        if (now) void go(id, false)
        else later(id, wait)
      }
      return id
    },
    undo(id) {
      const taken = take({ do: 'undo', id })
      if (taken) clearTimeout(timers.get(id))
      return taken
    },
    flush(leaving = false) {
      return Promise.all(entries.filter((entry) => entry.phase === 'waiting').map((entry) => go(entry.id, leaving)))
    },
    resume() {
      for (const entry of entries) if (entry.phase === 'held') void go(entry.id, false)
    },
  }
}
