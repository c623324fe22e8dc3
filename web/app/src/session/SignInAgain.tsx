import { Anchor, Modal, Stack, Text } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { SignInForm } from './SignInForm'
import { entered } from './state'
import { type Me, meQuery } from './who'

/** Over a page whose session has ended: it stays as it is, with all that was typed. */
export function SignInAgain({ me }: { me: Me }) {
  const cache = useQueryClient()
  return (
    <Modal
      opened
      onClose={() => undefined}
      withCloseButton={false}
      closeOnEscape={false}
      closeOnClickOutside={false}
      title="Your session has ended"
    >
      <Stack>
        <Text>
          It was not used for a while, was ended elsewhere, or somebody else signed in in this browser. Sign in again to
          go on where you were; nothing you typed is lost.
        </Text>
        <SignInForm
          email={me.email}
          done={(now) => {
            if (now.id !== me.id) return window.location.reload()
            cache.setQueryData(meQuery.queryKey, now)
            entered(now.id)
            void cache.invalidateQueries()
          }}
        />
        <Anchor href="/sign-in" size="sm">
          Sign in as somebody else, and leave this page
        </Anchor>
      </Stack>
    </Modal>
  )
}
