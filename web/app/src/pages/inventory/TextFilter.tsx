import { TextInput, type TextInputProps } from '@mantine/core'
import { useDebouncedCallback } from '@mantine/hooks'
import { useState } from 'react'

/** How long a text must rest before it counts, in milliseconds. */
const rest = 300

interface Props extends Omit<TextInputProps, 'value' | 'onChange'> {
  value: string
  change: (value: string) => void
  /** Takes a text on Enter as something else, and reports whether it did. */
  take?: (value: string) => boolean
}

/** A text that narrows a list: it counts when typing rests, or at once with Enter. */
export function TextFilter({ value, change, take, ...props }: Props) {
  const [typed, setTyped] = useState(value)
  const [seen, setSeen] = useState(value)
  if (seen !== value) {
    // The address changed under it: somebody went back, or cleared the filters.
    setSeen(value)
    setTyped(value)
  }
  const later = useDebouncedCallback((next: string) => change(next.trim()), rest)
  return (
    <TextInput
      {...props}
      value={typed}
      onChange={(event) => {
        setTyped(event.currentTarget.value)
        later(event.currentTarget.value)
      }}
      onKeyDown={(event) => {
        if (event.key !== 'Enter') return
        if (take?.(typed.trim())) {
          later.cancel()
          setTyped('')
        } else later.flush()
      }}
    />
  )
}
