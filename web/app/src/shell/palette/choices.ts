import type { IconProps } from '@tabler/icons-react'
import type { ComponentType } from 'react'

/** One line of the palette. */
export interface Choice {
  id: string
  label: string
  description?: string | undefined
  icon: ComponentType<IconProps>
  /** Other words that find it. */
  words?: string
  /** Why it cannot be chosen, as a sentence. */
  blocked?: string | undefined
  /** What it does. The palette closes, unless it goes on with another question. */
  run: () => void
  stays?: boolean
}

export interface Group {
  label: string
  choices: Choice[]
}

/** matching are the choices that have every typed word, those whose label begins with it first. */
export function matching(choices: Choice[], text: string): Choice[] {
  const typed = text.toLowerCase().split(/\s+/).filter(Boolean)
  if (typed.length === 0) return choices
  const found = choices.filter(({ label, words = '' }) => {
    const all = `${label} ${words}`.toLowerCase()
    return typed.every((word) => all.includes(word))
  })
  const begins = ({ label }: Choice) => label.toLowerCase().startsWith(text.trim().toLowerCase())
  return [...found.filter(begins), ...found.filter((choice) => !begins(choice))]
}
