import { useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { firstQuery } from '../api/audit'
import type { About, Names } from './facts/fact'
import { aboutOf, aggregateOf, type FactEvent, tell } from './factWords'

/** Rows that fly by ask nothing, in milliseconds. */
const rest = 300

interface Props {
  event: FactEvent
  names: Names
  /** Facts that are there already, by their streams: those that say what their stream is about. */
  firsts?: ReadonlyMap<string, FactEvent>
}

/** What happened, in a sentence that names what it is about. */
export function FactSentence({ event, names, firsts }: Props) {
  return <span>{tell(event, useAbout(event, firsts), names)}</span>
}

/** sourceOf is where a fact's stream says what it is about, if that is elsewhere. */
function sourceOf(event: FactEvent): { stream: string; type: string } | undefined {
  const { job } = event.data as { job?: unknown }
  if (event.type.startsWith('sb.request.submitted.') || event.type.startsWith('sb.job.queued.')) return undefined
  if (aggregateOf(event) === 'request') return { stream: event.stream, type: 'sb.request.submitted.' }
  if (aggregateOf(event) === 'job') return { stream: event.stream, type: 'sb.job.queued.' }
  if (aggregateOf(event) === 'secret' && typeof job === 'string')
    return { stream: `job/${job}`, type: 'sb.job.queued.' }
  return undefined
}

/** firstsOf are those of some facts that say what their stream is about. */
export function firstsOf(events: FactEvent[]): ReadonlyMap<string, FactEvent> {
  return new Map(
    events
      .filter(({ type }) => type.startsWith('sb.request.submitted.') || type.startsWith('sb.job.queued.'))
      .map((event) => [event.stream, event]),
  )
}

/** useAbout is what a fact's stream is about, asked for if no fact that is there says it. */
export function useAbout(event: FactEvent, firsts?: ReadonlyMap<string, FactEvent>): About {
  const [settled, setSettled] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(true), rest)
    return () => clearTimeout(timer)
  }, [])
  const source = sourceOf(event)
  const known = source && firsts?.get(source.stream)
  const asked = useQuery({
    ...firstQuery(source?.stream ?? '', source?.type ?? ''),
    enabled: settled && source !== undefined && known === undefined,
  }).data
  const first = known ?? asked
  if (!first) return aboutOf(event)
  const about = aboutOf(first)
  return about.job?.ref ? { ...about, secret: `${about.job.connection}/${about.job.ref}` } : about
}
