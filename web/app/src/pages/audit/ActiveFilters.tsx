import { Anchor, Button, Group } from '@mantine/core'
import { IconX } from '@tabler/icons-react'
import type { AuditQuery } from '../../api/audit'
import type { Names } from '../../parts/facts/fact'
import { aggregateWords, labelOf } from '../../parts/factWords'

type Filter = 'actor' | 'type' | 'outcome' | 'stream' | 'correlation' | 'secret'

/** The filters that take part, each with the way to take it off. */
export const filterNames: Filter[] = ['outcome', 'actor', 'type', 'stream', 'correlation', 'secret']

interface Props {
  query: AuditQuery
  names: Names
  clear: (...filters: (Filter | 'text')[]) => void
}

export function ActiveFilters({ query, names, clear }: Props) {
  const active = filterNames.filter((name) => query[name])
  if (active.length === 0) return null
  return (
    <Group gap={8} role="group" aria-label="Filters">
      {active.map((name) => {
        const words = inWords(name, query[name] ?? '', names)
        return (
          <Button
            key={name}
            size="compact-sm"
            variant="light"
            rightSection={<IconX size={13} aria-hidden />}
            aria-label={`Take off the filter: ${words}`}
            onClick={() => clear(name)}
          >
            {words}
          </Button>
        )
      })}
      <Anchor component="button" type="button" size="sm" onClick={() => clear(...filterNames, 'text')}>
        Clear all
      </Anchor>
    </Group>
  )
}

const aggregates: Record<string, string> = {
  request: 'request',
  agent: 'agent',
  connection: 'connection',
  job: 'job',
  secret: 'secret',
  user: 'person',
}

function inWords(filter: Filter, value: string, names: Names): string {
  switch (filter) {
    case 'outcome':
      return value === 'denied' ? 'Denied' : 'Done'
    case 'actor':
      return `By ${names.actor(value)}`
    case 'type':
      return value.endsWith('.') ? `About ${aggregateWords[value.split('.')[1] ?? ''] ?? value}` : labelOf(value)
    case 'secret':
      return `Secret ${value}`
    case 'correlation':
      return 'One intention and what followed'
    case 'stream': {
      const [aggregate = '', id = ''] = value.split('/')
      if (aggregate === 'user') return `About ${names.person(id)}`
      if (aggregate === 'agent') return `About the agent ${names.agent(id)}`
      if (aggregate === 'connection') return `About the connection ${id}`
      return `One ${aggregates[aggregate] ?? aggregate} (${id.slice(0, 8)}…)`
    }
  }
}
