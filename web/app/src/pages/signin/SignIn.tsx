import { Anchor, Button, Divider, Paper, Stack, Text, Title } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useEffect } from 'react'
import { answer, api } from '../../api/client'
import { one, useFilters } from '../../search'
import { SignInForm } from '../../session/SignInForm'
import { entered } from '../../session/state'
import { meQuery } from '../../session/who'
import classes from './SignIn.module.css'

/** local is an address inside this application, whatever the page's query says. */
function local(to: string): string {
  return /^\/(?![/\\])[\x21-\x7e]*$/.test(to) && !to.startsWith('/sign-in') ? to : '/'
}

export function SignIn() {
  const [search] = useFilters()
  const cache = useQueryClient()
  const navigate = useNavigate()
  const back = local(one(search, 'return_to'))
  const methods = useQuery({ queryKey: ['installation', 'methods'], queryFn: () => answer(api.GET('/auth/methods')) })
  useEffect(() => {
    document.title = 'Sign in · Secrets Bridge'
  }, [])
  return (
    <main className={classes.page}>
      <Paper className={classes.card} withBorder radius="lg" p="xl">
        <Stack gap="lg">
          <Stack gap={6} align="center">
            <img src="/icon.svg" alt="" width={44} height={44} />
            <Title order={1}>Sign in</Title>
            <Text c="dimmed" ta="center">
              Ask for secrets, decide on requests, and see who used what.
            </Text>
          </Stack>
          {methods.data?.sso && (
            <>
              <Button
                component="a"
                href={`${methods.data.sso.start}?return_to=${encodeURIComponent(back)}`}
                variant="default"
                fullWidth
              >
                Continue with single sign-on
              </Button>
              <Divider label="or" />
            </>
          )}
          <SignInForm
            done={(me) => {
              cache.clear()
              cache.setQueryData(meQuery.queryKey, me)
              entered()
              void navigate({ to: back, replace: true })
            }}
          />
          <Text size="sm" c="dimmed" ta="center">
            No account, or no password any more? An administrator sends you a link. You can also use the{' '}
            <Anchor href="/api/v1/openapi.yaml" inherit>
              API
            </Anchor>
            .
          </Text>
        </Stack>
      </Paper>
    </main>
  )
}
