import { queryOptions, useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { answer, api } from '../../api/client'
import { useMe } from '../../session/who'
import type { Names } from './fact'

/** How many pages of people, and of agents, are asked for names. */
const mostPages = 5

interface Page {
  items: { id: string; name: string }[]
  next?: string | undefined
}

async function all(ask: (cursor?: string) => Promise<Page>): Promise<Record<string, string>> {
  const names: Record<string, string> = {}
  let cursor: string | undefined
  for (let page = 0; page < mostPages; page++) {
    const found = await ask(cursor)
    for (const { id, name } of found.items) names[id] = name
    if (!found.next) break
    cursor = found.next
  }
  return names
}

const query = (cursor?: string) => ({ limit: 200, ...(cursor && { cursor }) })

export const peopleNamesQuery = queryOptions({
  queryKey: ['people', 'accounts'] as const,
  queryFn: ({ signal }) => all((cursor) => answer(api.GET('/people', { params: { query: query(cursor) }, signal }))),
  staleTime: 300_000,
})

const agentsQuery = queryOptions({
  queryKey: ['agents', 'names'] as const,
  queryFn: ({ signal }) => all((cursor) => answer(api.GET('/agents', { params: { query: query(cursor) }, signal }))),
  staleTime: 300_000,
})

/** What those are called who are no people. */
const others: Record<string, string> = {
  'anonymous:-': 'Somebody',
  'system:operator': 'An operator at the server',
  'system:dev': 'The setup of the demo',
  'system:identity-provider': 'The identity provider',
}

/** useNames are the names that whoever is signed in may know. Who has none is somebody. */
export function useNames(): Names {
  const me = useMe()
  const people = useQuery({ ...peopleNamesQuery, enabled: me.permissions.includes('person.list') }).data
  const agents = useQuery({ ...agentsQuery, enabled: me.permissions.includes('agent.list') }).data
  return useMemo(() => {
    const person = (id: string) => (id === me.id ? me.name : people?.[id]) ?? 'Somebody who left'
    const agent = (id: string) => agents?.[id] ?? id.slice(0, 8)
    return {
      person,
      agent,
      actor(actor, name) {
        if (name) return name
        const id = actor.slice(actor.indexOf(':') + 1)
        if (actor.startsWith('user:')) return person(id)
        if (actor.startsWith('agent:')) return `The agent ${agent(id)}`
        return others[actor] ?? 'Secrets Bridge'
      },
    }
  }, [me, people, agents])
}
