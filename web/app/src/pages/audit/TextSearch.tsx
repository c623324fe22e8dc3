import { TextInput } from '@mantine/core'
import { useDebouncedCallback } from '@mantine/hooks'
import { IconSearch } from '@tabler/icons-react'
import { useEffect, useState } from 'react'
import { shortestText } from './filters'

/** How long somebody has stopped typing before it is looked for, in milliseconds. */
const pause = 350

interface Props {
  text: string
  change: (text: string) => void
}

/** Looks for a text in whatever facts hold: reasons, paths, ids. */
export function TextSearch({ text, change }: Props) {
  const [typed, setTyped] = useState(text)
  useEffect(() => setTyped(text), [text])
  const later = useDebouncedCallback(change, pause)
  const short = typed !== '' && [...typed].length < shortestText
  return (
    <TextInput
      aria-label="Search the facts"
      placeholder="Search reasons, paths and ids"
      leftSection={<IconSearch size={16} aria-hidden />}
      flex="1 1 220px"
      maxLength={200}
      value={typed}
      description={short ? `Type at least ${shortestText} characters.` : undefined}
      inputWrapperOrder={['label', 'input', 'description', 'error']}
      onChange={(event) => {
        const next = event.currentTarget.value
        setTyped(next)
        if (next === '' || [...next].length >= shortestText) later(next)
      }}
    />
  )
}
