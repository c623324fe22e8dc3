import { Alert, Button, Group, PasswordInput, Stack } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { changePassword, sessionsQuery } from '../../api/me'
import { codeOf, sentence } from '../../api/problem'
import { Section } from '../../parts/Facts'
import { submits } from '../../ui/submits'
import { useAttempt } from '../../ui/useAttempt'

/** Changes one's password by the old one. Other sessions end by it. */
export function Password() {
  const cache = useQueryClient()
  const [old, setOld] = useState('')
  const [password, setPassword] = useState('')
  const [done, setDone] = useState(false)
  const { busy, error, attempt } = useAttempt()
  const submit = async () => {
    setDone(false)
    await attempt(async () => {
      try {
        await changePassword(old, password)
        setDone(true)
        void cache.invalidateQueries({ queryKey: sessionsQuery.queryKey })
      } finally {
        setOld('')
        setPassword('')
      }
    })
  }
  const wrongOld = codeOf(error) === 'password_wrong'
  const refused = codeOf(error) === 'password_refused'
  return (
    <Section title="Password">
      <form onSubmit={submits(submit)}>
        <Stack maw={420}>
          {done && (
            <Alert color="green" variant="light" role="status">
              Your password is changed, and all your other sessions have ended.
            </Alert>
          )}
          {error !== undefined && !wrongOld && !refused && (
            <Alert color="red" variant="light" role="alert">
              {sentence(error)}
            </Alert>
          )}
          <PasswordInput
            label="Old password"
            autoComplete="current-password"
            required
            withAsterisk={false}
            maxLength={1024}
            value={old}
            onChange={(event) => setOld(event.currentTarget.value)}
            error={wrongOld ? sentence(error) : undefined}
            visibilityToggleButtonProps={{ 'aria-label': 'Show the old password' }}
          />
          <PasswordInput
            label="New password"
            description="At least 12 characters."
            autoComplete="new-password"
            required
            withAsterisk={false}
            maxLength={1024}
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
            error={refused ? sentence(error) : undefined}
            visibilityToggleButtonProps={{ 'aria-label': 'Show the new password' }}
          />
          <Group>
            <Button type="submit" variant="default" loading={busy}>
              Change the password
            </Button>
          </Group>
        </Stack>
      </form>
    </Section>
  )
}
