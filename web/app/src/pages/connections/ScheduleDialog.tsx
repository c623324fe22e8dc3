import { Modal, NativeSelect, Stack, Text } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { newKey } from '../../api/client'
import { type Connection, schedule } from '../../api/connections'
import { Problem } from '../../parts/Problem'
import { DialogButtons } from '../../ui/DialogButtons'
import { submits } from '../../ui/submits'
import { useAttempt } from '../../ui/useAttempt'
import { choices, scheduleWords } from './scheduleWords'

/** Says how often a connection is scanned. */
export function ScheduleDialog({ connection, close }: { connection: Connection; close: () => void }) {
  const cache = useQueryClient()
  const now = connection.discover_every_seconds
  const [every, setEvery] = useState(now)
  const { busy, error, attempt } = useAttempt()
  const key = useRef(newKey())
  const all = [...new Set([...choices, now])].sort((a, b) => a - b)
  const save = async () => {
    await attempt(async () => {
      await schedule(connection.name, every, key.current)
      await cache.invalidateQueries({ queryKey: ['connections'] })
      close()
    })
  }
  return (
    <Modal opened onClose={close} title={`Scans of ${connection.name}`}>
      <form onSubmit={submits(save)}>
        <Stack>
          <NativeSelect
            label="Scan it"
            value={String(every)}
            onChange={(event) => {
              key.current = newKey() // another intent
              setEvery(Number(event.currentTarget.value))
            }}
            data={all.map((seconds) => ({ value: String(seconds), label: scheduleWords(seconds) }))}
            data-autofocus
          />
          <Text size="sm" c="dimmed">
            The time counts from the end of the scan before, so scans never pile up.
          </Text>
          <Problem error={error} />
          <DialogButtons close={close} busy={busy} disabled={every === now}>
            Save
          </DialogButtons>
        </Stack>
      </form>
    </Modal>
  )
}
