import { Group, Skeleton, Text, VisuallyHidden } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense } from 'react'
import { type AuditQuery, histogramQuery } from '../../api/audit'
import type { Schema } from '../../api/client'
import { exact, short, span } from '../../ui/time'
import classes from './Audit.module.css'
import { drawn } from './filters'

const Plot = lazy(() => import('./Plot').then((part) => ({ default: part.Plot })))

interface Props {
  query: AuditQuery
  look: number
  choose: (since: string, until: string) => void
}

/** How much happened when, done and denied. A part of it can be drawn over, to look at that time alone. */
export function Histogram({ query, look, choose }: Props) {
  const { data, isPending, error } = useQuery(histogramQuery(drawn(query, look), look))
  if (error && !data) return null // the list says what is wrong
  return (
    <section aria-label="Facts over time" className={classes.card}>
      {isPending || !data ? (
        <Skeleton height={126} />
      ) : (
        <>
          <Summary histogram={data} />
          <div aria-hidden>
            <Suspense fallback={<Skeleton height={96} />}>
              <Plot histogram={data} choose={choose} />
            </Suspense>
          </div>
          <AsTable histogram={data} />
        </>
      )}
    </section>
  )
}

type Counts = Schema['AuditHistogram']

const sum = (histogram: Counts, of: 'done' | 'denied') => histogram.items.reduce((n, bucket) => n + bucket[of], 0)

function Summary({ histogram }: { histogram: Counts }) {
  const done = sum(histogram, 'done')
  const denied = sum(histogram, 'denied')
  return (
    <Group justify="space-between" gap={12} pb={4}>
      <Text size="sm">
        <strong>{(done + denied).toLocaleString('en')}</strong> {done + denied === 1 ? 'fact' : 'facts'}
        {denied > 0 && (
          <>
            {', '}
            <Text span inherit className={classes.denied}>
              {denied.toLocaleString('en')} denied
            </Text>
          </>
        )}
        {!histogram.exact && ' among the newest'}
      </Text>
      <Text size="xs" c="dimmed">
        {short(histogram.since)} to {short(histogram.until)} · one bar is {span(histogram.bucket_seconds)}
        <Text span inherit visibleFrom="sm">
          {' '}
          · drag to choose a time
        </Text>
      </Text>
    </Group>
  )
}

/** The same for those who do not see the plot: the parts in which something happened. */
function AsTable({ histogram }: { histogram: Counts }) {
  return (
    <VisuallyHidden>
      <table>
        <caption>Facts over time, in parts of {span(histogram.bucket_seconds)}</caption>
        <thead>
          <tr>
            <th scope="col">From</th>
            <th scope="col">Done</th>
            <th scope="col">Denied</th>
          </tr>
        </thead>
        <tbody>
          {histogram.items
            .filter(({ done, denied }) => done + denied > 0)
            .map(({ at, done, denied }) => (
              <tr key={at}>
                <th scope="row">{exact(at)}</th>
                <td>{done}</td>
                <td>{denied}</td>
              </tr>
            ))}
        </tbody>
      </table>
    </VisuallyHidden>
  )
}
