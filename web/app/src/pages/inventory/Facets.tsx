import { Button, NativeSelect, Skeleton, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { sentence } from '../../api/problem'
import { facetsQuery } from '../../api/secrets'
import { many, one, useFilters } from '../../search'
import classes from './Filters.module.css'
import { placeOf } from './filters'
import { labelsIn, withLabel, withoutLabel } from './labels'

/** How many values are shown at first. */
const few = 8

/** The values of a label, and how many secrets have each. Each is a filter. */
export function Facets() {
  const [search, change] = useFilters()
  const [all, setAll] = useState(false)
  const place = placeOf(search)
  const names = useQuery(facetsQuery('', place))
  const chosen = one(search, 'facet') || (names.data?.[0]?.value ?? '')
  const values = useQuery({ ...facetsQuery(chosen, place), enabled: chosen !== '' })
  if (names.error) {
    return (
      <Text size="xs" c="dimmed">
        Labels could not be counted. {sentence(names.error)}
      </Text>
    )
  }
  if (!names.data) return <Skeleton height={120} aria-label="Counting labels" />
  if (names.data.length === 0) return null
  const active = labelsIn(many(search, 'label')).find(({ name }) => name === chosen)
  const rows = values.data ?? []
  return (
    <Stack gap={6}>
      <NativeSelect
        label="Label"
        description="How many secrets have each value"
        size="xs"
        value={chosen}
        onChange={(event) => {
          setAll(false)
          change({ facet: event.currentTarget.value }, { replace: true })
        }}
        data={names.data.map(({ value, count }) => ({
          value,
          label: `${value} (${count.toLocaleString('en')})`,
        }))}
      />
      <ul className={classes.values} aria-label={`Values of ${chosen}`}>
        {rows.slice(0, all ? rows.length : few).map(({ value, count }) => {
          const on = active?.value === value
          const labels = many(search, 'label')
          return (
            <li key={value}>
              <button
                type="button"
                className={classes.value}
                aria-pressed={on}
                onClick={() =>
                  change({
                    label: on ? withoutLabel(labels, chosen) : withLabel(labels, { name: chosen, value }),
                  })
                }
              >
                <span>{value || '(empty)'}</span>
                <span>{count.toLocaleString('en')}</span>
              </button>
            </li>
          )
        })}
      </ul>
      {rows.length > few && (
        <Button size="compact-xs" variant="subtle" color="gray" onClick={() => setAll(!all)} aria-expanded={all}>
          {all ? 'Fewer' : `All ${rows.length.toLocaleString('en')}${rows.length >= 200 ? ' most frequent' : ''}`}
        </Button>
      )}
    </Stack>
  )
}
