import { Button, Group, Loader, Modal, Stack, Text, TextInput } from '@mantine/core'
import { QRCodeSVG } from 'qrcode.react'
import { useState } from 'react'
import { newKey, type Schema } from '../../api/client'
import { confirmTotp, startTotp } from '../../api/me'
import { codeOf } from '../../api/problem'
import { Problem } from '../../parts/Problem'
import { FreshSignIn } from '../../session/FreshSignIn'
import { withStepUp } from '../../session/stepUp'
import { CodeBlock } from '../../ui/CodeBlock'
import { useAttempt } from '../../ui/useAttempt'
import { Countdown } from '../../ui/When'
import classes from './Settings.module.css'

/** Adds an authenticator app. Its secret is in this dialog while it is open, and nowhere else. */
export function AddTotp({ close }: { close: () => void }) {
  const [made, setMade] = useState<Schema['Totp']>()
  const [name, setName] = useState('')
  const [code, setCode] = useState('')
  const { busy, error, attempt } = useAttempt()
  const start = () =>
    attempt(async () => {
      const key = newKey()
      setMade(await withStepUp(() => startTotp(name.trim(), key)))
    })
  const confirm = (totp: Schema['Totp']) =>
    attempt(async () => {
      try {
        await confirmTotp(totp.id, code.trim())
      } finally {
        setCode('')
      }
      close()
    })
  if (codeOf(error) === 'sign_in_stale') {
    return (
      <Modal opened onClose={close} title="Add an authenticator app">
        <FreshSignIn again={() => void start()} close={close} />
      </Modal>
    )
  }
  return (
    <Modal opened onClose={close} title="Add an authenticator app">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void (made ? confirm(made) : start())
        }}
      >
        <Stack>
          <Problem error={error} />
          {made ? (
            <>
              <Text>Scan this with the app, or type the secret over. It is shown this once.</Text>
              <Group justify="center">
                <div className={classes.qr}>
                  <QRCodeSVG value={made.uri} size={184} title="QR code for the authenticator app" />
                </div>
              </Group>
              <CodeBlock label="Secret for the app">{made.secret}</CodeBlock>
              <TextInput
                label="First code of the app"
                description={
                  <>
                    Six digits. Time left: <Countdown until={made.until} />
                  </>
                }
                inputMode="numeric"
                autoComplete="one-time-code"
                required
                withAsterisk={false}
                maxLength={10}
                value={code}
                onChange={(event) => setCode(event.currentTarget.value)}
                data-autofocus
              />
            </>
          ) : (
            <TextInput
              label="Name"
              description="To know it again, such as “phone”."
              maxLength={64}
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
              data-autofocus
            />
          )}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
            <Button
              type="submit"
              disabled={busy || (made !== undefined && !code.trim())}
              rightSection={busy && <Loader size={14} />}
            >
              {made ? 'Confirm' : 'Continue'}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
