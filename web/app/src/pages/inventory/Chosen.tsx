import { Button, CloseButton, Group } from '@mantine/core'
import { many, one, type Search, useFilters } from '../../search'
import { providerWords } from '../connections/providers'
import classes from './Filters.module.css'
import { cleared, isNarrowed, nobody } from './filters'
import { labelsIn, withoutLabel } from './labels'

/** What the list is narrowed by, each with the way to take it away. */
export function Chosen() {
  const [search, change] = useFilters()
  if (!isNarrowed(search)) return null
  return (
    <Group gap={6} role="group" aria-label="Filters in use">
      {labelsIn(many(search, 'label')).map(({ name, value }) => (
        <One
          key={name}
          text={`${name}: ${value || '(empty)'}`}
          away={() => change({ label: withoutLabel(many(search, 'label'), name) })}
        />
      ))}
      {words(search).map(([name, text]) => (
        <One key={name} text={text} away={() => change({ [name]: undefined })} />
      ))}
      <Button size="compact-sm" variant="subtle" color="gray" onClick={() => change(cleared)}>
        Clear filters
      </Button>
    </Group>
  )
}

/** words are the filters that are no labels, in words. */
function words(search: Search): [string, string][] {
  const told: [string, string][] = []
  const say = (name: string, text: (value: string) => string) => {
    const value = one(search, name)
    if (value !== '') told.push([name, text(value)])
  }
  say('text', (value) => `“${value}”`)
  say('connection', (value) => `in ${value}`)
  say('provider', (value) => providerWords[value as keyof typeof providerWords]?.label ?? value)
  say('owner', (value) => (value === nobody ? "nobody's" : `of ${value}`))
  say('environment', (value) => (value === nobody ? 'without an assigned environment' : `assigned to ${value}`))
  say('older', (value) => `unchanged for ${value} days`)
  say('status', (value) => (value === 'gone' ? 'gone' : 'present and gone'))
  return told
}

function One({ text, away }: { text: string; away: () => void }) {
  return (
    <div className={classes.chosen}>
      <span>{text}</span>
      <CloseButton size="xs" aria-label={`Take the filter ${text} away`} onClick={away} />
    </div>
  )
}
