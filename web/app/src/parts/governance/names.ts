import { useQuery } from '@tanstack/react-query'
import { connectionNamesQuery, type Governance, namesQuery, permissionsQuery } from '../../api/governance'
import { useMe } from '../../session/who'
import { namesOf } from './objects'

export interface People {
  /** Everybody, for those who may list people; else nobody. */
  all: { id: string; name: string }[]
  nameOf: (id: string) => string
}

/** usePeople are the people that objects name. Who may not list people sees short ids. */
export function usePeople(): People {
  const me = useMe()
  const { data } = useQuery({ ...namesQuery, enabled: me.permissions.includes('person.list') })
  const all = data ?? []
  const names = new Map(all.map((person) => [person.id, person.name]))
  return { all, nameOf: (id) => names.get(id) || (id === me.id ? me.name : `${id.slice(0, 8)}…`) }
}

/** useConnectionNames are the connections that one may see. */
export function useConnectionNames(): string[] {
  const me = useMe()
  const { data } = useQuery({ ...connectionNamesQuery, enabled: me.permissions.includes('connection.list') })
  return data ?? []
}

/** useRoleNames are the roles that there are: those of the system, then one's own. */
export function useRoleNames(governance: Governance): string[] {
  const { data } = useQuery(permissionsQuery)
  return [...(data?.roles ?? []).map((role) => role.name), ...namesOf(governance, 'Role')]
}
