import { Alert, Button, Divider, Paper, Stack, Text, Title } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import { one, useFilters } from '../../search'
import { link } from '../../session/link'
import { SignInForm } from '../../session/SignInForm'
import { entered } from '../../session/state'
import { meQuery, methodsQuery } from '../../session/who'
import { SetPassword } from './SetPassword'
import classes from './SignIn.module.css'
import { local, whyNotSignedOn } from './words'

/** Where people come in: by password, by single sign-on, or by a link that lets them choose a password. */
export function SignIn() {
  const [token, setToken] = useState(link)
  const [chosen, setChosen] = useState(false)
  const title = token ? 'Choose a password' : 'Sign in'
  useEffect(() => {
    document.title = `${title} · Secrets Bridge`
  }, [title])
  return (
    <main className={classes.page}>
      <Paper className={classes.card} withBorder radius="lg" p="xl">
        <Stack gap="lg">
          <Stack gap={6} align="center">
            <img src="/icon.svg" alt="" width={44} height={44} />
            <Title order={1}>{title}</Title>
            <Text c="dimmed" ta="center">
              {token
                ? 'This link is for your own account, and lets you choose its password once. Then sign in with it.'
                : 'Ask for secrets, decide on requests, and see who used what.'}
            </Text>
          </Stack>
          {token ? (
            <SetPassword
              token={token}
              done={() => {
                setChosen(true)
                setToken(undefined)
              }}
            />
          ) : (
            <Ways chosen={chosen} />
          )}
        </Stack>
      </Paper>
    </main>
  )
}

function Ways({ chosen }: { chosen: boolean }) {
  const [search] = useFilters()
  const cache = useQueryClient()
  const navigate = useNavigate()
  const back = local(one(search, 'return_to'))
  const problem = one(search, 'problem')
  const methods = useQuery(methodsQuery)
  return (
    <>
      {problem && (
        <Alert color="red" variant="light" role="alert">
          {whyNotSignedOn(problem)}
        </Alert>
      )}
      {chosen && (
        <Alert color="green" variant="light" role="status">
          Your password is set. Sign in with your e-mail and the new password.
        </Alert>
      )}
      {one(search, 'ended') === 'everywhere' && (
        <Alert color="green" variant="light" role="status">
          You were signed out everywhere.
        </Alert>
      )}
      {methods.data?.sso && (
        <>
          <Button
            component="a"
            href={`${methods.data.sso.start}?return_to=${encodeURIComponent(back)}`}
            variant="default"
            fullWidth
          >
            Continue with {new URL(methods.data.sso.issuer).hostname}
          </Button>
          <Divider label="or with a password" />
        </>
      )}
      <SignInForm
        done={(me) => {
          cache.clear()
          cache.setQueryData(meQuery.queryKey, me)
          entered(me.id)
          void navigate({ to: back, replace: true })
        }}
      />
      {!chosen && (
        <Text size="sm" c="dimmed" ta="center">
          No account yet, or no password any more? An administrator can send you a link.
        </Text>
      )}
    </>
  )
}
