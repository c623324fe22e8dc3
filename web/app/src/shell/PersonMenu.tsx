import { Avatar, UnstyledButton } from '@mantine/core'
import { lazy, Suspense, useState } from 'react'
import { useMe } from '../session/who'

const PersonItems = lazy(() => import('./PersonItems').then((part) => ({ default: part.PersonItems })))

/** The way to one's account. Its menu is loaded when it is first opened. */
export function PersonMenu() {
  const me = useMe()
  const [wanted, setWanted] = useState(false)
  const button = (
    <UnstyledButton
      aria-label={`Account of ${me.name}`}
      aria-haspopup="menu"
      aria-expanded={wanted}
      onClick={() => setWanted(true)}
    >
      <Avatar size={30} radius="xl" color="indigo" name={me.name} alt="" aria-hidden />
    </UnstyledButton>
  )
  return wanted ? (
    <Suspense fallback={button}>
      <PersonItems />
    </Suspense>
  ) : (
    button
  )
}
