// A list of any length, page by page, as the pages show it.
import {
  type InfiniteData,
  keepPreviousData,
  type UseInfiniteQueryOptions,
  useInfiniteQuery,
  useQueryClient,
} from '@tanstack/react-query'
import { useCallback, useMemo, useSyncExternalStore } from 'react'
import type { Key } from './cache'

/**
 * How many pages of a list are asked for again when something changes. Beyond them somebody has scrolled
 * far, and asking for all of it, as often as once a second, would be work for nobody: they are told that
 * the list is old instead.
 */
const mostFresh = 3

interface Page<Row> {
  items: Row[]
  next?: string | undefined
}

export interface Listing<Row> {
  rows: Row[]
  loading: boolean
  /** Why there is nothing, or nothing more. */
  error: unknown
  more: boolean
  loadingMore: boolean
  loadMore: () => void
  again: () => void
  /** What is shown is of other filters, until that of these is here. */
  before: boolean
  /** The list was changed after it was read, and is too long to be read again unasked. */
  old: boolean
  /** Reads it again from the beginning. */
  renew: () => void
}

export function useListing<Row, Query extends Key>(
  options: UseInfiniteQueryOptions<Page<Row>, Error, InfiniteData<Page<Row>>, Query, string>,
): Listing<Row> {
  const cache = useQueryClient()
  const { queryKey } = options
  const long = (cache.getQueryData<InfiniteData<Page<Row>>>(queryKey)?.pages.length ?? 0) > mostFresh
  const list = useInfiniteQuery({
    ...options,
    enabled: !long,
    placeholderData: keepPreviousData,
    structuralSharing: false, // it would compare all rows with each page that comes
  })
  const invalidated = useSyncExternalStore(
    useCallback((listener) => cache.getQueryCache().subscribe(listener), [cache]),
    () => cache.getQueryState(queryKey)?.isInvalidated ?? false,
  )
  const pages = list.data?.pages
  const rows = useMemo(() => pages?.flatMap((page) => page.items) ?? [], [pages])
  const { fetchNextPage, refetch } = list
  const broken = list.isFetchNextPageError
  return {
    rows,
    loading: list.isPending,
    error: list.error,
    more: list.hasNextPage && !broken,
    loadingMore: list.isFetchingNextPage,
    loadMore: useCallback(() => void fetchNextPage(), [fetchNextPage]),
    again: () => void (broken ? fetchNextPage() : refetch()),
    before: list.isPlaceholderData,
    old: long && invalidated,
    renew: () => void cache.resetQueries({ queryKey, exact: true }),
  }
}
