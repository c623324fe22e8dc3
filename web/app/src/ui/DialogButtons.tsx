import { Button, Group } from '@mantine/core'
import type { ReactNode } from 'react'

interface Props {
  close: () => void
  busy: boolean
  disabled?: boolean
  children: ReactNode
}

/** The foot of a dialog with a form: a way out, and what sends it, named by its children. */
export function DialogButtons({ close, busy, disabled = false, children }: Props) {
  return (
    <Group justify="flex-end">
      <Button variant="default" onClick={close}>
        Cancel
      </Button>
      <Button type="submit" loading={busy} disabled={disabled}>
        {children}
      </Button>
    </Group>
  )
}
