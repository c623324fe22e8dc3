import type { QueryClient } from '@tanstack/react-query'
import type { Account } from '../../api/people'

/** Who has roles: a person or a machine. */
export type Holder = Pick<Account, 'id' | 'name' | 'grants'>

/** refreshHolders has people and machines read again. */
export async function refreshHolders(cache: QueryClient): Promise<void> {
  await Promise.all([
    cache.invalidateQueries({ queryKey: ['people'] }),
    cache.invalidateQueries({ queryKey: ['machines'] }),
  ])
}
