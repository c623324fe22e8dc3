import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Navigate, useRouterState } from '@tanstack/react-router'
import { lazy, type ReactNode, Suspense, useEffect, useState, useSyncExternalStore } from 'react'
import { follow } from '../api/live'
import { Refusal } from '../api/problem'
import { paths } from '../paths'
import { Failed, Loading } from '../ui/states'
import { keepAlive } from './renewal'
import { sessionState } from './state'
import { meQuery } from './who'

const SignInAgain = lazy(() => import('./SignInAgain').then((part) => ({ default: part.SignInAgain })))

/**
 * What is behind it is for who is signed in. A session that ends while somebody works asks for the
 * password over the page, which stays as it is.
 */
export function Gate({ children }: { children: ReactNode }) {
  const me = useQuery(meQuery)
  const state = useSyncExternalStore(sessionState.subscribe, sessionState.get)
  if (me.data) {
    return (
      <>
        {state === 'in' ? (
          <Alive key={me.data.id} />
        ) : (
          <Suspense>
            <SignInAgain me={me.data} />
          </Suspense>
        )}
        {children}
      </>
    )
  }
  if (me.error instanceof Refusal && me.error.status === 401) return <ToSignIn />
  if (me.error) return <Failed error={me.error} again={() => void me.refetch()} />
  return <Loading what="Looking who you are" />
}

/** Leads to the sign-in, and from there back to where it was asked for: the address changes on the way. */
function ToSignIn() {
  const href = useRouterState({ select: (state) => state.location.href })
  const [back] = useState(href)
  return <Navigate to={paths.signIn()} search={{ return_to: back }} replace />
}

/** Keeps the session and what is on the screen fresh while it is shown. */
function Alive() {
  const cache = useQueryClient()
  useEffect(keepAlive, [])
  useEffect(() => follow(cache), [cache])
  return null
}
