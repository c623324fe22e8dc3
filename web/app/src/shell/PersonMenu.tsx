import { UnstyledButton, type UnstyledButtonProps } from '@mantine/core'
import { type ComponentPropsWithRef, lazy, Suspense, useState } from 'react'
import { useMe } from '../session/who'
import classes from './Shell.module.css'

const PersonItems = lazy(() => import('./PersonItems').then((part) => ({ default: part.PersonItems })))

/** The way to one's account. Its menu is loaded when it is first opened. */
export function PersonMenu() {
  const [wanted, setWanted] = useState(false)
  const button = <PersonButton aria-haspopup="menu" aria-expanded={wanted} onClick={() => setWanted(true)} />
  return wanted ? (
    <Suspense fallback={button}>
      <PersonItems />
    </Suspense>
  ) : (
    button
  )
}

export function PersonButton(props: UnstyledButtonProps & ComponentPropsWithRef<'button'>) {
  const { name } = useMe()
  const words = name.split(/\s+/).filter(Boolean)
  const initials = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => word?.[0] ?? '').join('')
  return (
    <UnstyledButton aria-label={`Account of ${name}`} {...props}>
      <span className={classes.account} data-initials={initials.toUpperCase()} />
    </UnstyledButton>
  )
}
