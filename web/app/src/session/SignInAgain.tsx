import { Anchor, Modal, Stack, Text } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { answer, api } from '../api/client'
import { paths } from '../paths'
import { SignInForm } from './SignInForm'
import { entered } from './state'
import { type Me, meQuery, methodsQuery } from './who'

/** Over a page whose session has ended: it stays as it is, with all that was typed. */
export function SignInAgain({ me }: { me: Me }) {
  const cache = useQueryClient()
  const methods = useQuery(methodsQuery)
  useEffect(() => {
    const back = (now: Me) => {
      cache.setQueryData(meQuery.queryKey, now)
      entered(now.id)
      void cache.invalidateQueries()
    }
    // Another tab may have signed in: then this one has a session, too. The answer is of nobody else.
    const look = () => {
      if (document.visibilityState === 'hidden') return
      answer(api.GET('/me')).then(back, () => undefined) // there still is none
    }
    window.addEventListener('focus', look)
    document.addEventListener('visibilitychange', look)
    return () => {
      window.removeEventListener('focus', look)
      document.removeEventListener('visibilitychange', look)
    }
  }, [cache])
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
        {methods.data?.sso && (
          <Anchor href={methods.data.sso.start} target="_blank" rel="noopener" size="sm">
            Sign in with {new URL(methods.data.sso.issuer).hostname} in another tab, and come back to this one
          </Anchor>
        )}
        <Anchor href={paths.signIn()} size="sm">
          Sign in as somebody else, and leave this page
        </Anchor>
      </Stack>
    </Modal>
  )
}
