// A fact of the log as its words need it: who, what, and the names of what it is about.
import type { ReactNode } from 'react'
import { asks, type Request } from '../requestWords'
import { SecretName } from '../SecretName'

/** What a request asks for, which never changes after it was made. */
export type Asked = Pick<Request, 'operation' | 'patch' | 'fill' | 'secret'> & { requester: string }

/** What a fact's stream is about, as far as whoever reads may know it. */
export interface About {
  request?: Asked | undefined
  /** CONNECTION/REF. */
  secret?: string | undefined
  job?: { type: string; connection: string; ref?: string | undefined } | undefined
}

/** Names are those of people and agents that are still there. */
export interface Names {
  person(id: string): string
  agent(id: string): string
  actor(actor: string, name?: string): string
}

export interface Fact {
  /** Who caused it. */
  who: ReactNode
  /** The same as an id, such as `user:u_…`. */
  actor: string
  /** What comes behind the aggregate in the stream: `r_…` of `request/r_…`. */
  id: string
  about: About
  names: Names
  /** text, number and list read the fact's data; what is not there is empty. */
  text(field: string): string
  number(field: string): number
  list(field: string): unknown[]
}

export interface Words {
  /** What the type is called in a list of types. */
  label: string
  says(fact: Fact): ReactNode
}

/** A table of words: the rest of a type behind `sb.AGGREGATE.` to its words. */
export type Table = Record<string, Words>

/** person is the name of somebody in a field of a fact. */
export const person = (fact: Fact, field: string) => <strong>{fact.names.person(fact.text(field))}</strong>

export const agent = (fact: Fact, field = 'agent') => {
  const id = fact.text(field)
  return id ? <strong>{fact.names.agent(id)}</strong> : <>an agent</>
}

/** self says whether somebody did something to themselves. */
export const self = (fact: Fact, id: string) => fact.actor === `user:${id}`

/** plural counts something in words. */
export const plural = (n: number, one: string, many = `${one}s`) => `${n.toLocaleString('en')} ${n === 1 ? one : many}`

/** said is what somebody wrote beside it, where they did. */
export const said = (text: string) => (text ? <>: “{text}”</> : null)

const verbs: Record<string, string> = { 'asks to read': 'to read', 'asks to create': 'to create' }

/** wish is "to read prod/db/password", of a request. */
export function wish(asked: Asked): ReactNode {
  const verb = verbs[asks(asked)] ?? asks(asked).replace(/^asks /, '')
  return (
    <>
      {verb} <SecretName secret={asked.secret} />
    </>
  )
}

/** theRequest is "Dana's request to read prod/db/password", or less where it is not known. */
export function theRequest(fact: Fact): ReactNode {
  const asked = fact.about.request
  if (!asked) return <>a request</>
  if (self(fact, asked.requester)) return <>their request {wish(asked)}</>
  return (
    <>
      {fact.names.person(asked.requester)}’s request {wish(asked)}
    </>
  )
}

/** whose is "Dana's request …", and "The request …" at the start of a sentence that has no actor. */
export function aboutRequest(fact: Fact): ReactNode {
  const asked = fact.about.request
  if (!asked) return <>A request</>
  return (
    <>
      <strong>{fact.names.person(asked.requester)}</strong>’s request {wish(asked)}
    </>
  )
}
