import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { type Following, followRequest, type Request, requestQuery } from '../../../api/requests'

/** useFollow is a request as it changes. `told` is what a list said of it, to begin with. */
export function useFollow(id: string, told?: Request) {
  const cache = useQueryClient()
  const [line, setLine] = useState<Following>('connecting')
  useEffect(() => {
    setLine('connecting')
    return followRequest(cache, id, setLine)
  }, [cache, id])
  const query = useQuery({ ...requestQuery(id), placeholderData: () => told })
  return { query, line }
}
