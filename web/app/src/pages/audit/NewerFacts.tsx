import { Button } from '@mantine/core'
import { IconArrowUp } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { type AuditQuery, newerCounted, newerQuery } from '../../api/audit'
import type { FactEvent } from '../../parts/factWords'
import { clock } from '../../session/renewal'
import classes from './Audit.module.css'

interface Props {
  query: AuditQuery
  /** The first row of the list; none if it is empty. */
  newest: FactEvent | undefined
  ready: boolean
  show: () => void
}

/** Says how many facts came since the list was made, and waits until somebody wants them: nothing jumps. */
export function NewerFacts({ query, newest, ready, show }: Props) {
  const over = query.until !== undefined && Date.parse(query.until) <= clock.now()
  const { data } = useQuery({ ...newerQuery(query), enabled: ready && !over })
  const newer = data?.items.filter((event) => !newest || comesAfter(event, newest)).length ?? 0
  return (
    <div role="status" className={classes.pill}>
      {newer > 0 && (
        <Button size="compact-sm" radius="xl" leftSection={<IconArrowUp size={14} aria-hidden />} onClick={show}>
          {newer >= newerCounted ? `${newerCounted} and more` : newer} new {newer === 1 ? 'fact' : 'facts'}
        </Button>
      )}
    </div>
  )
}

const comesAfter = (a: FactEvent, b: FactEvent) => a.seq > b.seq || (a.seq === b.seq && a.index > b.index)
