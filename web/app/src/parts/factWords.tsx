// What happened, in a sentence: every type of fact has one. A type that is newer than this application
// is shown as it is called.
import type { ReactNode } from 'react'
import type { Schema } from '../api/client'
import type { About, Asked, Fact, Names, Table, Words } from './facts/fact'
import { governance, settings } from './facts/govern'
import { integrations } from './facts/integrate'
import { agents, connections, inventory, jobs, secrets } from './facts/operate'
import { access, users } from './facts/people'
import { request } from './facts/request'

export type FactEvent = Schema['Event']

const tables: Record<string, Table> = {
  request,
  agent: agents,
  connection: connections,
  job: jobs,
  inventory,
  secret: secrets,
  governance,
  user: users,
  access,
  setting: settings,
  integration: integrations,
}

/** What the parts of the log are called. */
export const aggregateWords: Record<string, string> = {
  request: 'Requests',
  agent: 'Agents',
  connection: 'Connections',
  job: 'Jobs',
  inventory: 'Findings of scans',
  secret: 'Secrets',
  governance: 'Governance',
  user: 'People & machines',
  access: 'Sign-ins & denials',
  setting: 'Keys & settings',
  integration: 'Integrations',
}

/** wordsOf are the words of a type, such as `sb.request.approved.v1`, if there are any. */
export function wordsOf(type: string): Words | undefined {
  const [, aggregate, ...rest] = type.split('.')
  const table = tables[aggregate ?? '']
  const name = rest.join('.')
  return table && Object.hasOwn(table, name) ? table[name] : undefined
}

/** labelOf is what a type is called in a list. */
export const labelOf = (type: string): string => wordsOf(type)?.label ?? type

/** The types of what somebody was kept from: events/outcome.go. */
const denied = new Set(['sb.access.denied.v1', 'sb.access.sign_in_failed.v1', 'sb.access.step_up_failed.v1'])

export const isDenied = (event: Pick<FactEvent, 'type'>): boolean => denied.has(event.type)

/** tell is the sentence of a fact. */
export function tell(event: FactEvent, about: About, names: Names): ReactNode {
  const fact = factOf(event, { ...aboutOf(event), ...about }, names)
  const words = wordsOf(event.type)
  if (words) return words.says(fact)
  return (
    <>
      {fact.who}: {event.type}
    </>
  )
}

/** idOf is what comes behind the aggregate in a fact's stream. */
export const idOf = (event: Pick<FactEvent, 'stream'>): string => event.stream.slice(event.stream.indexOf('/') + 1)

export const aggregateOf = (event: Pick<FactEvent, 'stream'>): string => event.stream.split('/')[0] ?? ''

/** aboutOf is what a fact itself says about its stream. */
export function aboutOf(event: FactEvent): About {
  const data = event.data as Record<string, string | undefined>
  if (event.type.startsWith('sb.request.submitted.')) return { request: askedOf(event.data) }
  if (event.type.startsWith('sb.job.queued.')) {
    return { job: { type: data.operation ?? '', connection: data.connection ?? '', ref: data.ref } }
  }
  return {}
}

function askedOf(data: Record<string, unknown>): Asked {
  return {
    requester: String(data.requester ?? ''),
    operation: data.operation === 'patch' ? 'patch' : 'read',
    secret: `${data.connection}/${data.ref}`,
    ...(data.operation === 'patch' && { patch: { create: data.create === true } as NonNullable<Asked['patch']> }),
    ...(data.fill !== undefined && { fill: data.fill as NonNullable<Asked['fill']> }),
  }
}

function factOf(event: FactEvent, about: About, names: Names): Fact {
  const data = event.data as Record<string, unknown>
  return {
    who: <strong>{names.actor(event.actor, event.actor_name)}</strong>,
    actor: event.actor,
    id: idOf(event),
    about,
    names,
    text(field) {
      const value = data[field]
      return value === undefined || value === null || typeof value === 'object' ? '' : String(value)
    },
    number: (field) => (typeof data[field] === 'number' ? data[field] : 0),
    list: (field) => (Array.isArray(data[field]) ? data[field] : []),
  }
}
