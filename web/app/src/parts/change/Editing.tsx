// What the fields of a form share: the draft, what is wrong with it, and what there is to choose from.
import { createContext, type ReactNode, useContext } from 'react'
import type { Fault, Governance } from '../../api/governance'
import type { Action, Draft } from './draft'
import { at, type Path, textOf } from './put'

interface Editing {
  draft: Draft
  act: (action: Action) => void
  governance: Governance
  /** Of the draft alone. */
  faults: Fault[]
}

const Context = createContext<Editing | undefined>(undefined)

export function EditingProvider({ children, ...editing }: Editing & { children: ReactNode }) {
  return <Context value={editing}>{children}</Context>
}

export function useEditing(): Editing {
  const editing = useContext(Context)
  if (!editing) throw new Error('a field outside of an editor')
  return editing
}

/** useField is what a path leads to, how to change it, and what is wrong there. With `whole`, also with what lies below. */
export function useField<T>(path: Path, whole = true) {
  const { draft, act, faults } = useEditing()
  const text = textOf(path)
  const here = faults.filter(
    (f) => f.field === text || (whole && (f.field?.startsWith(`${text}.`) || f.field?.startsWith(`${text}[`))),
  )
  const wrong = here.filter((f) => !f.warning)
  return {
    value: at(draft.spec, path) as T | undefined,
    set: (value: T | undefined) => act({ do: 'put', path, value }),
    error: wrong.length > 0 ? wrong.map((f) => capital(f.problem)).join(' · ') : undefined,
  }
}

/** capital begins a sentence. */
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
