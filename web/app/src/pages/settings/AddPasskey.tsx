import { Alert, Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core'
import { IconFingerprint } from '@tabler/icons-react'
import { useState } from 'react'
import { newKey } from '../../api/client'
import { finishPasskey, startPasskey } from '../../api/me'
import { codeOf, sentence } from '../../api/problem'
import { FreshSignIn } from '../../session/FreshSignIn'
import { withStepUp } from '../../session/stepUp'
import { submits } from '../../ui/submits'
import { useAttempt } from '../../ui/useAttempt'

/** Has the browser make a passkey for this installation (Web Authentication, level 3). */
export function AddPasskey({ close }: { close: () => void }) {
  const [name, setName] = useState('')
  const { busy, error, attempt } = useAttempt()
  const add = async () => {
    const key = newKey()
    await attempt(async () => {
      const { public_key } = await withStepUp(() => startPasskey(key))
      const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(public_key as never)
      const made = await navigator.credentials.create({ publicKey })
      if (!(made instanceof PublicKeyCredential)) throw new DOMException('', 'NotAllowedError')
      await finishPasskey({ name: name.trim(), passkey: { ...made.toJSON() } })
      close()
    })
  }
  if (codeOf(error) === 'sign_in_stale') {
    return (
      <Modal opened onClose={close} title="Add a passkey">
        <FreshSignIn again={() => void add()} close={close} />
      </Modal>
    )
  }
  return (
    <Modal opened onClose={close} title="Add a passkey">
      <form onSubmit={submits(add)}>
        <Stack>
          <Text>Your device asks you to confirm. The passkey stays there, and works for this address only.</Text>
          {error !== undefined && (
            <Alert color="red" variant="light" role="alert">
              {why(error)}
            </Alert>
          )}
          <TextInput
            label="Name"
            description="To know it again, such as “laptop”."
            maxLength={64}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            data-autofocus
          />
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
            <Button type="submit" loading={busy} leftSection={<IconFingerprint size={17} />}>
              Continue
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}

function why(error: unknown): string {
  if (!(error instanceof DOMException)) return sentence(error)
  if (error.name === 'InvalidStateError') return 'This device has a passkey of yours already.'
  if (error.name === 'SecurityError')
    return 'Passkeys do not work at this address. Open the one that your administrator gave you.'
  return 'No passkey was made. Try again, or add an authenticator app.'
}
