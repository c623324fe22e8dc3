import { Button, PasswordInput, Stack, TextInput } from '@mantine/core'
import { useState } from 'react'
import { answer, api } from '../api/client'
import { Problem } from '../parts/Problem'
import { submits } from '../ui/submits'
import { useAttempt } from '../ui/useAttempt'
import type { Me } from './who'

interface Props {
  /** Who has to sign in; without it anybody. */
  email?: string
  done: (me: Me) => void
}

/** Signs in by e-mail and password. The session is a cookie that no script reads. */
export function SignInForm({ email: fixed, done }: Props) {
  const [email, setEmail] = useState(fixed ?? '')
  const [password, setPassword] = useState('')
  const { busy, error, attempt } = useAttempt()
  const submit = async () => {
    await attempt(async () => {
      try {
        const session = await answer(api.POST('/sessions', { body: { email, password, cookie: true } }))
        done(session.person)
      } finally {
        setPassword('')
      }
    })
  }
  return (
    <form onSubmit={submits(submit)}>
      <Stack>
        <Problem error={error} />
        <TextInput
          label="E-mail"
          type="email"
          autoComplete="username"
          required
          withAsterisk={false}
          readOnly={fixed !== undefined}
          maxLength={254}
          value={email}
          onChange={(event) => setEmail(event.currentTarget.value)}
          data-autofocus={fixed === undefined || undefined}
        />
        <PasswordInput
          label="Password"
          autoComplete="current-password"
          required
          withAsterisk={false}
          maxLength={1024}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          visibilityToggleButtonProps={{ 'aria-label': 'Show the password' }}
          data-autofocus={fixed !== undefined || undefined}
        />
        <Button type="submit" loading={busy} fullWidth>
          Sign in
        </Button>
      </Stack>
    </form>
  )
}
