import { useCallback, useState } from 'react'

export interface Attempt {
  /** It is under way. */
  busy: boolean
  /** Why it failed the last time; undefined if it did not. */
  error: unknown
  /** attempt does something that may fail. What it throws is kept to be shown. */
  attempt: (what: () => Promise<unknown>) => Promise<void>
}

/** useAttempt is for what a person does by a button: whether it is under way, and why it failed. */
export function useAttempt(): Attempt {
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const attempt = useCallback(async (what: () => Promise<unknown>) => {
    setBusy(true)
    setError(undefined)
    try {
      await what()
    } catch (caught) {
      setError(caught)
    } finally {
      setBusy(false)
    }
  }, [])
  return { busy, error, attempt }
}
