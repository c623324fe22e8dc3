import { Button, Group, Modal, Stack, Text, Textarea } from '@mantine/core'
import { type ReactNode, useState } from 'react'
import { sentence } from '../api/problem'

export interface ReasonProps {
  opened: boolean
  close: () => void
  title: string
  /** What will happen, in a sentence. */
  about?: ReactNode
  label?: string
  /** Without a reason it cannot be confirmed. */
  required?: boolean
  most?: number
  confirm: string
  danger?: boolean
  /** Does it; what it throws is shown, and what was typed stays. */
  act: (reason: string) => Promise<unknown>
}

/** Asks whether something should happen, and why. */
export function ReasonForm({
  opened,
  close,
  title,
  about,
  label = 'Reason',
  required = false,
  most = 500,
  confirm,
  danger,
  act,
}: ReasonProps) {
  const [reason, setReason] = useState('')
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const leave = () => {
    setReason('')
    setError(undefined)
    close()
  }
  const submit = async () => {
    setBusy(true)
    setError(undefined)
    try {
      await act(reason.trim())
      leave()
    } catch (caught) {
      setError(caught)
    } finally {
      setBusy(false)
    }
  }
  return (
    <Modal opened={opened} onClose={leave} title={title}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (!required || reason.trim()) void submit()
        }}
      >
        <Stack>
          {about && <Text component="div">{about}</Text>}
          <Textarea
            label={label}
            required={required}
            withAsterisk={required}
            maxLength={most}
            autosize
            minRows={2}
            maxRows={8}
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
            error={error ? sentence(error) : undefined}
            data-autofocus
          />
          <Group justify="flex-end">
            <Button variant="default" onClick={leave}>
              Cancel
            </Button>
            <Button
              type="submit"
              color={danger ? 'red' : undefined}
              loading={busy}
              disabled={required && !reason.trim()}
            >
              {confirm}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
