import { QueryClient } from '@tanstack/react-query'
import { Refusal } from './problem'

/** The topics of live updates, and the first part of every query key: a change of one makes its queries ask again. */
export type Topic =
  | 'requests'
  | 'jobs'
  | 'secrets'
  | 'connections'
  | 'agents'
  | 'governance'
  | 'people'
  | 'machines'
  | 'audit'
  | 'me' // what one may do, and one's own sessions, factors and delegations
  | 'integrations' // what is told and looked at outside, and what was sent
  | 'installation' // what is set up here: no live topic

export type Key = readonly [Topic, ...unknown[]]

declare module '@tanstack/react-query' {
  interface Register {
    queryKey: Key
    mutationKey: Key
  }
}

/**
 * The cache of what the server said. A value never comes in here: what is revealed is asked for and
 * kept by one component alone (pages/requests/reveal).
 */
export function makeCache(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 30_000,
        gcTime: 300_000,
        refetchOnWindowFocus: true,
        networkMode: 'always', // the browser's word on being online is a guess; a failed call is not
        retry: (count, error) => !(error instanceof Refusal) && count < 2,
      },
      mutations: { networkMode: 'always', retry: false, gcTime: 0 },
    },
  })
}
