import { Anchor, Button, Group, Stack, Text } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { SignInForm } from './SignInForm'
import { entered } from './state'
import { meQuery, methodsQuery, useMe } from './who'

interface Props {
  /** What was refused goes on. */
  again: () => void
  close: () => void
}

/** In a dialog whose call was refused as sign_in_stale: signs in again in place, and then the call is made again. */
export function FreshSignIn({ again, close }: Props) {
  const me = useMe()
  const cache = useQueryClient()
  const methods = useQuery(methodsQuery)
  return (
    <Stack>
      <Text>
        Adding the first one needs a fresh sign-in, and yours is more than five minutes old. Sign in again, and it goes
        on by itself.
      </Text>
      <SignInForm
        email={me.email}
        done={(now) => {
          if (now.id !== me.id) return window.location.reload()
          cache.setQueryData(meQuery.queryKey, now)
          entered(now.id)
          again()
        }}
      />
      {methods.data?.sso && (
        <Group justify="space-between">
          <Anchor href={methods.data.sso.start} target="_blank" rel="noopener" size="sm">
            Sign in with {new URL(methods.data.sso.issuer).hostname} in another tab
          </Anchor>
          <Button size="xs" variant="default" onClick={again}>
            I did, go on
          </Button>
        </Group>
      )}
      <Group justify="flex-end">
        <Button variant="default" onClick={close}>
          Cancel
        </Button>
      </Group>
    </Stack>
  )
}
