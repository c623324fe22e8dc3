import type { UseQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { codeOf } from '../api/problem'
import { Page } from '../ui/Page'
import { Failed, Forbidden, Loading } from '../ui/states'
import { Missing } from './Missing'

interface Props<T> {
  /** What kind of thing it is, such as "Agent". */
  title: string
  query: UseQueryResult<T>
  /** Why nobody shows it to this person. */
  unseen?: string | undefined
  /** What is said instead of it, by the code of the refusal; "" where there is none and no error either. */
  missing: Record<string, string>
  /** Where all of its kind are. */
  back: { to: string; label: string }
  children: (thing: NonNullable<T>) => ReactNode
}

/** A page about one thing, and what it shows while the thing is not there. */
export function One<T>({ title, query, unseen, missing, back, children }: Props<T>) {
  if (unseen) {
    return (
      <Page title={title}>
        <Forbidden reason={unseen} />
      </Page>
    )
  }
  const what = query.data === null ? missing[''] : missing[codeOf(query.error)]
  if (what && (query.data === null || query.error))
    return <Missing title={title} what={what} to={back.to} back={back.label} />
  if (query.data !== undefined && query.data !== null) return children(query.data)
  if (query.error) {
    return (
      <Page title={title}>
        <Failed error={query.error} again={() => void query.refetch()} />
      </Page>
    )
  }
  return <Loading what={`Loading the ${title.toLowerCase()}`} />
}
