import { Button, Group, Loader, Text } from '@mantine/core'
import { useEffect, useState, useSyncExternalStore } from 'react'
import type { Phase, Verdict } from '../../../api/outbox'
import type { Request } from '../../../api/requests'
import { nameOf } from '../../../parts/requestWords'
import { stepUp } from '../../../session/stepUp'
import { KeyHint } from '../../../ui/KeyHint'
import { dismiss } from '../../../ui/notices'
import { undo, useEntries } from './verdicts'

interface Props {
  id: string
  says: Verdict['says']
  /** Whom it is about, where it is one. */
  request: Request | undefined
  count: number
}

const doing = { approve: 'Approving', reject: 'Denying' }

/** What is on its way, with the time in which it can be taken back. It goes when the answer is there. */
export function VerdictToast({ id, says, request, count }: Props) {
  const entry = useEntries().find((other) => other.id === id)
  useEffect(() => {
    if (!entry) dismiss(id)
  }, [entry, id])
  if (!entry) return null
  const about = request ? `${nameOf(request.requester)}’s request` : `${count} requests`
  return (
    <Group justify="space-between" wrap="nowrap" gap="md">
      <div>
        <Text fw={500}>
          {doing[says]} {about}
        </Text>
        <Text size="sm" c="dimmed">
          <How phase={entry.phase} due={entry.due} />
        </Text>
      </div>
      {entry.phase === 'waiting' ? (
        <Button size="xs" variant="default" onClick={() => undo(id)} rightSection={<KeyHint of="Z" />} flex="none">
          Undo
        </Button>
      ) : (
        <Loader size="xs" aria-hidden />
      )}
    </Group>
  )
}

function How({ phase, due }: { phase: Phase; due: number }) {
  const proving = useSyncExternalStore(stepUp.subscribe, stepUp.open)
  if (phase === 'sending') return proving ? 'Waits for your second factor' : 'Sending'
  if (phase === 'held') return 'The server cannot be reached now. It is sent again by itself.'
  return <Left due={due} />
}

/** How many seconds are left. Whoever only hears the page hears of it once. */
function Left({ due }: { due: number }) {
  const [left, setLeft] = useState(() => due - Date.now())
  useEffect(() => {
    const timer = setInterval(() => setLeft(due - Date.now()), 250)
    return () => clearInterval(timer)
  }, [due])
  return <span aria-hidden>Sent in {Math.max(1, Math.ceil(left / 1000))} s</span>
}
