import { Button, Group } from '@mantine/core'
import { type ReactNode, useState } from 'react'

/** How many of a long list are shown at once: cards are too large to have thousands of them in a document. */
const step = 100

/** Some of a list, and the way to more of it. */
export function Some<T>({ of, children }: { of: T[]; children: (item: T) => ReactNode }) {
  const [most, setMost] = useState(step)
  return (
    <>
      {of.slice(0, most).map(children)}
      {of.length > most && (
        <Group justify="center">
          <Button variant="default" onClick={() => setMost(most + step)}>
            Show more; {of.length - most} are left
          </Button>
        </Group>
      )}
    </>
  )
}
