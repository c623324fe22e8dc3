import { Anchor, Skeleton, Stack, Text, UnstyledButton } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useId, useState } from 'react'
import { type AuditQuery, type Facet, facetQuery } from '../../api/audit'
import type { Names } from '../../parts/facts/fact'
import { aggregateWords, labelOf } from '../../parts/factWords'
import classes from './Audit.module.css'
import { without } from './filters'

/** How many values are shown before somebody asks for all. */
const few = 7

interface Props {
  query: AuditQuery
  look: number
  names: Names
  change: (filter: { actor?: string; type?: string; outcome?: string }) => void
}

/** What the facts that match have in common: each value is a filter. */
export function Facets({ query, look, names, change }: Props) {
  const part = query.type?.split('.')[1]
  return (
    <Stack gap={20}>
      <Values
        title="Outcome"
        by="outcome"
        query={without(query, 'outcome')}
        look={look}
        chosen={query.outcome}
        label={(value) => (value === 'denied' ? 'Denied' : 'Done')}
        choose={(value) => change({ outcome: value })}
      />
      <Values
        title="Who"
        by="actor"
        query={without(query, 'actor')}
        look={look}
        chosen={query.actor}
        label={(value, name) => names.actor(value, name)}
        choose={(value) => change({ actor: value })}
      />
      <Values
        title="About"
        by="aggregate"
        query={without(query, 'type')}
        look={look}
        chosen={part}
        label={(value) => aggregateWords[value] ?? value}
        choose={(value) => change({ type: value && `sb.${value}.` })}
      />
      <Values
        title="What happened"
        by="type"
        query={part ? { ...query, type: `sb.${part}.` } : query}
        look={look}
        chosen={query.type?.endsWith('.') ? undefined : query.type}
        label={labelOf}
        choose={(value) => change({ type: value || (part ? `sb.${part}.` : '') })}
      />
    </Stack>
  )
}

interface ValuesProps {
  title: string
  by: Facet
  query: AuditQuery
  look: number
  chosen: string | undefined
  label: (value: string, name?: string) => string
  /** Empty takes the filter away. */
  choose: (value: string) => void
}

function Values({ title, by, query, look, chosen, label, choose }: ValuesProps) {
  const id = useId()
  const [all, setAll] = useState(false)
  const { data, isPending, error, refetch } = useQuery(facetQuery(query, by, look))
  const items = data?.items ?? []
  const absent = chosen && !items.some(({ value }) => value === chosen) ? [{ value: chosen, count: 0 }] : []
  const shown: { value: string; name?: string; count: number }[] = [
    ...absent,
    ...(all ? items : items.filter(({ value }, i) => i < few || value === chosen)),
  ]
  return (
    <div>
      <Text size="xs" fw={500} c="dimmed" px={8} pb={4} id={id}>
        {title}
      </Text>
      {isPending && <Skeleton height={72} />}
      {error && !data && (
        <Text size="sm" c="dimmed" px={8}>
          Not to be had now.{' '}
          <Anchor component="button" type="button" inherit onClick={() => void refetch()}>
            Try again
          </Anchor>
        </Text>
      )}
      <ul aria-labelledby={id} className={classes.facet}>
        {shown.map(({ value, name, count }) => (
          <li key={value}>
            <UnstyledButton
              className={classes.value}
              aria-pressed={value === chosen}
              onClick={() => choose(value === chosen ? '' : value)}
            >
              <span title={label(value, name)}>{label(value, name)}</span>
              <span className={classes.count}>{count.toLocaleString('en')}</span>
            </UnstyledButton>
          </li>
        ))}
      </ul>
      {items.length > few && (
        <Anchor component="button" type="button" size="sm" mx={8} mt={4} mih={24} onClick={() => setAll(!all)}>
          {all ? 'Show fewer' : `Show all ${items.length}`}
        </Anchor>
      )}
      {data && !data.exact && (
        <Text size="xs" c="dimmed" px={8} pt={4}>
          Counted among the newest
        </Text>
      )}
    </div>
  )
}
