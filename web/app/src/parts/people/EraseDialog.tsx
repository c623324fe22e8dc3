import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core'
import { useState } from 'react'
import { useAttempt } from '../../ui/useAttempt'
import { Problem } from '../Problem'

interface Props {
  name: string
  /** What is gone by it, and what stays. */
  about: string
  close: () => void
  act: () => Promise<void>
}

/** Erasing cannot be taken back, so it wants the name typed. */
export function EraseDialog({ name, about, close, act }: Props) {
  const [typed, setTyped] = useState('')
  const { busy, error, attempt } = useAttempt()
  const submit = async () => {
    await attempt(async () => {
      await act()
    })
  }
  return (
    <Modal opened onClose={close} title={`Erase ${name}`}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (typed.trim() === name) void submit()
        }}
      >
        <Stack>
          <Problem error={error} />
          <Text>{about}</Text>
          <TextInput
            label={`Type ${name} to confirm`}
            autoComplete="off"
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
            data-autofocus
          />
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
            <Button type="submit" color="red" loading={busy} disabled={typed.trim() !== name}>
              Erase for good
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
