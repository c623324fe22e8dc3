import { Button, Group, Modal, Stack, Text } from '@mantine/core'
import { useState } from 'react'
import { newKey } from '../../api/client'
import { makeRecoveryCodes } from '../../api/me'
import { Problem } from '../../parts/Problem'
import { withStepUp } from '../../session/stepUp'
import { useAttempt } from '../../ui/useAttempt'
import classes from './Settings.module.css'

/** Makes new recovery codes. They are in this dialog while it is open, and nowhere else. */
export function RecoveryCodes({ close }: { close: () => void }) {
  const [codes, setCodes] = useState<string[]>()
  const { busy, error, attempt } = useAttempt()
  const make = async () => {
    const key = newKey()
    await attempt(async () => {
      setCodes((await withStepUp(() => makeRecoveryCodes(key))).codes)
    })
  }
  return (
    <Modal opened onClose={close} title="Recovery codes" closeOnClickOutside={!codes}>
      <Stack>
        <Problem error={error} />
        {codes ? (
          <>
            <Text>Each of these proves you once. Keep them where your devices are not; they are shown this once.</Text>
            <ul className={classes.codes} aria-label="Your recovery codes">
              {codes.map((code) => (
                <li key={code}>{code}</li>
              ))}
            </ul>
            <Group justify="flex-end">
              <Button onClick={close}>I have kept them</Button>
            </Group>
          </>
        ) : (
          <>
            <Text>Ten new codes for when your devices are lost. They take the place of all that you have.</Text>
            <Group justify="flex-end">
              <Button variant="default" onClick={close}>
                Cancel
              </Button>
              <Button onClick={() => void make()} loading={busy}>
                Make them
              </Button>
            </Group>
          </>
        )}
      </Stack>
    </Modal>
  )
}
