import { useDisclosure } from '@mantine/hooks'
import { IconRefreshDot } from '@tabler/icons-react'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { lazily } from '../../ui/lazily'

const ScanDialog = lazily(() => import('./ScanDialog'), 'ScanDialog')

interface Props {
  /** The connection, where it is not to be chosen. */
  connection?: string
  blocked?: string | undefined
  variant?: string
}

/** Starts a scan of a connection, or fingerprints of it. */
export function ScanButton({ connection, blocked, variant = 'filled' }: Props) {
  const [open, { open: show, close }] = useDisclosure()
  const why = whyNot(useMe(), 'job.manage', 'start scans') ?? blocked
  return (
    <>
      <ActionButton variant={variant} leftSection={<IconRefreshDot size={16} />} blocked={why} onClick={show}>
        Scan now
      </ActionButton>
      {open && <ScanDialog connection={connection} close={close} />}
    </>
  )
}
