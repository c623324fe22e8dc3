import { useRef } from 'react'
import { newKey } from '../../../api/client'

/** useIntent is an Idempotency-Key for as long as what is sent stays the same. */
export function useIntent(): (content: string) => string {
  const last = useRef({ content: '', key: '' })
  return (content) => {
    if (!last.current.key || last.current.content !== content) last.current = { content, key: newKey() }
    return last.current.key
  }
}
