import { Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { keyNames, namedQuery } from '../../../api/asking'
import { sentence } from '../../../api/problem'
import { useMe, whyNot } from '../../../session/who'
import { ActionButton } from '../../../ui/ActionButton'
import { whole } from './draft'

/** unmet is why the keys of a secret cannot be looked for that is not known to the inventory. */
function unmet(secret: string, absent: boolean): string {
  if (!whole(secret)) return 'Choose the secret first.'
  return absent ? 'No scan has met this secret yet, so type the names.' : 'The inventory is looked at.'
}

/** useKeyNames are the names of a secret's keys, once somebody has asked for them, and the button that asks. */
export function useKeyNames(secret: string): { names: string[]; button: React.ReactNode } {
  const me = useMe()
  const mayNot =
    whyNot(me, 'secret.keys', 'ask for the names of keys') ?? whyNot(me, 'secret.list', 'search the inventory')
  const named = useQuery({ ...namedQuery(secret), enabled: !mayNot && whole(secret) })
  const [told, setTold] = useState<{ secret: string; names: string[] }>()
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const asking = useRef<AbortController | undefined>(undefined)
  // biome-ignore lint/correctness/useExhaustiveDependencies: another secret has other keys
  useEffect(() => {
    setError(undefined)
    return () => asking.current?.abort()
  }, [secret])

  const ask = async (id: string) => {
    const controller = new AbortController()
    asking.current = controller
    setBusy(true)
    setError(undefined)
    try {
      setTold({ secret, names: await keyNames(id, controller.signal) })
    } catch (caught) {
      if (!controller.signal.aborted) setError(caught)
    } finally {
      setBusy(false)
    }
  }
  const id = named.data?.id
  const names = told?.secret === secret ? told.names : []
  const blocked = mayNot ?? (id ? undefined : named.error ? sentence(named.error) : unmet(secret, named.data === null))
  return {
    names,
    button: (
      <>
        <ActionButton
          size="xs"
          variant="default"
          loading={busy}
          blocked={blocked}
          onClick={() => {
            if (id) void ask(id)
          }}
        >
          {names.length > 0 ? 'Look again for the names' : 'Look for the names of its keys'}
        </ActionButton>
        <Text size="sm" c="dimmed" role="status">
          {blocked}
          {busy && 'An agent looks. Names only, no values.'}
          {!busy && names.length > 0 && `It has ${names.length === 1 ? 'one key' : `${names.length} keys`}.`}
          {error !== undefined && sentence(error)}
        </Text>
      </>
    ),
  }
}
