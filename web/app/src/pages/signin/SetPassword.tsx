import { Alert, Button, PasswordInput, Stack, Text } from '@mantine/core'
import { useState } from 'react'
import { answer, api } from '../../api/client'
import { codeOf, sentence } from '../../api/problem'
import { dropLink } from '../../session/link'
import { useAttempt } from '../../ui/useAttempt'

interface Props {
  /** Of the invitation or reset link that this page was opened by. */
  token: string
  done: () => void
}

/** Sets a password by a link. The link works once; nobody is signed in by it. */
export function SetPassword({ token, done }: Props) {
  const [password, setPassword] = useState('')
  const [again, setAgain] = useState('')
  const { busy, error, attempt } = useAttempt()
  const differ = again !== '' && again !== password
  const submit = async () => {
    await attempt(async () => {
      try {
        await answer(api.POST('/links/redeem', { body: { token, password } }))
        dropLink()
        done()
      } finally {
        setPassword('')
        setAgain('')
      }
    })
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (!differ) void submit()
      }}
    >
      <Stack>
        {error !== undefined && (
          <Alert color="red" variant="light" role="alert">
            <Stack gap="xs" align="flex-start">
              <Text size="md">{sentence(error)}</Text>
              {codeOf(error) === 'link_refused' && (
                <Button
                  size="xs"
                  variant="default"
                  onClick={() => {
                    dropLink()
                    done()
                  }}
                >
                  Go to the sign-in
                </Button>
              )}
            </Stack>
          </Alert>
        )}
        <PasswordInput
          label="New password"
          description="At least 12 characters; several words that have nothing to do with each other are good. An account for emergencies needs 20."
          autoComplete="new-password"
          required
          withAsterisk={false}
          maxLength={1024}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          visibilityToggleButtonProps={{ 'aria-label': 'Show the new password' }}
        />
        <PasswordInput
          label="The same once more"
          autoComplete="new-password"
          required
          withAsterisk={false}
          maxLength={1024}
          value={again}
          onChange={(event) => setAgain(event.currentTarget.value)}
          error={differ ? 'The two differ.' : undefined}
          visibilityToggleButtonProps={{ 'aria-label': 'Show the repeated password' }}
        />
        <Button type="submit" loading={busy} fullWidth disabled={differ}>
          Set the password
        </Button>
      </Stack>
    </form>
  )
}
