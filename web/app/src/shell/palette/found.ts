// What the server has of what was typed: secrets, requests, connections and people.
import { useDebouncedValue } from '@mantine/hooks'
import { IconEye, IconKey, IconPencil, IconPlugConnected, IconSend, IconUser } from '@tabler/icons-react'
import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { answer, api } from '../../api/client'
import { connectionsQuery } from '../../api/connections'
import { askedQuery, requestsIn, requestsQuery } from '../../api/requests'
import { peopleNamesQuery } from '../../parts/facts/names'
import { paths } from '../../paths'
import { type Permission, useMe } from '../../session/who'
import { type Choice, type Group, matching } from './choices'
import { requestChoice, useGoTo } from './commands'
import type { Mode } from './modes'
import { pathOf } from './path'

/** The server looks for no shorter text. */
export const shortest = 3

/** How long somebody has stopped typing before the server is asked, in milliseconds. */
const pause = 200

/** How many of a kind are shown. */
const most = 7

export interface Found {
  groups: Group[]
  /** There may be more in a moment. */
  busy: boolean
}

/** useFound looks for a text, for the palette in a mode. Scan is what happens to a connection in mode scan. */
export function useFound(text: string, mode: Mode, scan: (connection: string) => void): Found {
  const typed = text.trim()
  const [settled] = useDebouncedValue(typed, pause)
  const secrets = useSecrets(settled, mode)
  const requests = useRequests(typed, mode)
  const connections = useConnections(typed, mode, scan)
  const people = usePeople(typed, mode)
  const groups = [secrets.group, requests.group, connections.group, people.group].filter(
    ({ choices }) => choices.length > 0,
  )
  return {
    groups,
    busy: settled !== typed || [secrets, requests, connections, people].some((part) => part.busy),
  }
}

interface Part {
  group: Group
  busy: boolean
}

/** useMay says whether somebody is asked about at all: the server would record each refusal. */
function useMay(permission: Permission): boolean {
  return useMe().permissions.includes(permission)
}

/** lookFor finds secrets by a whole path, or by a part of one or of a label. */
async function lookFor(text: string, signal: AbortSignal) {
  const path = pathOf(text)
  if (path) {
    const { connection, ref } = path
    const within = [...ref].length < shortest ? { prefix: ref } : { text: ref }
    const query = { connection, ...within, limit: most }
    const { items } = await answer(api.GET('/secrets', { params: { query }, signal }))
    if (items.length > 0) return items
  }
  return (await answer(api.GET('/secrets', { params: { query: { text, limit: most } }, signal }))).items
}

function useSecrets(text: string, mode: Mode): Part {
  const go = useGoTo()
  const me = useMe()
  const enabled = useMay('secret.list') && ['any', 'ask', 'change'].includes(mode) && [...text].length >= shortest
  const { data, isFetching } = useQuery({
    queryKey: ['secrets', 'palette', text] as const,
    queryFn: ({ signal }) => lookFor(text, signal),
    placeholderData: keepPreviousData,
    enabled,
  })
  const found = enabled ? (data ?? []) : []
  const asking = (secret: string, operation: 'read' | 'patch') => () => go(paths.newRequest({ secret, operation }))
  const choices = found.map(({ id, secret, owner }): Choice => {
    const description = owner ? `Owned by ${owner}` : undefined
    const choice = { id: `secret ${id}`, label: secret, description }
    if (mode === 'ask') return { ...choice, icon: IconEye, run: asking(secret, 'read') }
    if (mode === 'change') return { ...choice, icon: IconPencil, run: asking(secret, 'patch') }
    return { ...choice, icon: IconKey, run: () => go(paths.secret(id)) }
  })
  const read = (secret: string): Choice => ({
    id: `ask ${secret}`,
    label: `Ask to read ${secret}`,
    icon: IconEye,
    run: asking(secret, 'read'),
  })
  const change = (secret: string): Choice => ({
    id: `change ${secret}`,
    label: `Ask to change ${secret}`,
    icon: IconPencil,
    run: asking(secret, 'patch'),
  })
  const may = me.permissions.includes('request.create')
  const [first] = found
  if (mode === 'any' && first && may) choices.push(read(first.secret))
  // What no scan has met may be there all the same, or is to be made.
  if (may && enabled && !isFetching && !first && pathOf(text)) {
    if (mode !== 'change') choices.push(read(text))
    if (mode !== 'ask') choices.push(change(text))
  }
  return { group: { label: 'Secrets', choices }, busy: enabled && isFetching }
}

const whole = /^r_[0-9a-z]{26}$/

function useRequests(text: string, mode: Mode): Part {
  const go = useGoTo()
  const may = useMay('request.list')
  const wanted = mode === 'decide' || (mode === 'any' && [...text].length >= shortest)
  const { data, isFetching } = useInfiniteQuery({
    ...(mode === 'decide' ? askedQuery : requestsQuery({}, 100)),
    enabled: may && wanted,
  })
  const choices = requestsIn(wanted ? data : undefined).map((request) =>
    requestChoice(request, () => go(mode === 'decide' ? paths.inbox(request.id) : paths.request(request.id))),
  )
  const found = matching(choices, text).slice(0, most)
  if (mode === 'any' && may && whole.test(text) && found.length === 0) {
    found.push({
      id: `request ${text}`,
      label: `The request ${text}`,
      icon: IconSend,
      run: () => go(paths.request(text)),
    })
  }
  return {
    group: { label: mode === 'decide' ? 'They wait for you' : 'Requests', choices: found },
    busy: wanted && isFetching,
  }
}

function useConnections(text: string, mode: Mode, scan: (connection: string) => void): Part {
  const go = useGoTo()
  const wanted = mode === 'scan' || (mode === 'any' && text !== '')
  const { data, isFetching } = useInfiniteQuery({ ...connectionsQuery(), enabled: useMay('connection.list') && wanted })
  const all = wanted ? (data?.pages.flatMap((page) => page.items) ?? []) : []
  const choices = all.map(
    ({ name, description, provider, state }): Choice => ({
      id: `connection ${name}`,
      label: name,
      description: description || undefined,
      icon: IconPlugConnected,
      words: provider,
      blocked:
        mode === 'scan' && state === 'disabled'
          ? 'This connection is disabled: enable it before it is scanned.'
          : undefined,
      run: () => (mode === 'scan' ? scan(name) : go(paths.connection(name))),
    }),
  )
  return {
    group: { label: 'Connections', choices: matching(choices, text).slice(0, most) },
    busy: wanted && isFetching,
  }
}

function usePeople(text: string, mode: Mode): Part {
  const go = useGoTo()
  const wanted = mode === 'any' && text.length > 1
  const { data, isFetching } = useQuery({ ...peopleNamesQuery, enabled: useMay('person.list') && wanted })
  const choices = Object.entries(wanted ? (data ?? {}) : {}).map(
    ([id, name]): Choice => ({ id: `person ${id}`, label: name, icon: IconUser, run: () => go(paths.person(id)) }),
  )
  return { group: { label: 'People', choices: matching(choices, text).slice(0, most) }, busy: wanted && isFetching }
}
