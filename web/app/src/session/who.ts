import { queryOptions, useSuspenseQuery } from '@tanstack/react-query'
import { answer, api, type Schema } from '../api/client'
import { isFor } from './state'

export type Me = Schema['Me']

export type Permission = Me['permissions'][number]

export const meQuery = queryOptions({
  queryKey: ['me'] as const,
  queryFn: async () => {
    const me = await answer(api.GET('/me'))
    isFor(me.id)
    return me
  },
  staleTime: 60_000,
})

/** methodsQuery is how people sign in here. */
export const methodsQuery = queryOptions({
  queryKey: ['installation', 'methods'] as const,
  queryFn: () => answer(api.GET('/auth/methods')),
})

/** useMe is who is signed in. Only below the gate of the session, which has asked before. */
export function useMe(): Me {
  return useSuspenseQuery(meQuery).data
}

/**
 * whyNot says why somebody may not do what a permission allows, for a control that stays visible; or
 * undefined where they may, in some scope at least. The name of the permission comes last, for who is asked.
 * The server still decides.
 */
export function whyNot(me: Me, permission: Permission, doing: string): string | undefined {
  if (me.permissions.includes(permission)) return undefined
  return `You may not ${doing}. None of your roles lets you; ask an administrator. (${permission})`
}
