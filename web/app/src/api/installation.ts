// What is set up here, and the contract that it keeps.
import { queryOptions } from '@tanstack/react-query'
import { answer, api, type Schema } from './client'

export type Installation = Schema['Installation']

export const installationQuery = queryOptions({
  queryKey: ['installation', 'setup'] as const,
  queryFn: () => answer(api.GET('/installation')),
})

/** The text of the contract, as the server was built with it. */
export const contractText = () => answer(api.GET('/openapi.yaml', { parseAs: 'text' }))
