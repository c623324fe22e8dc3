import { NativeSelect, Stack } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { namesQuery } from '../../api/connections'
import { one, useFilters } from '../../search'
import { useMe } from '../../session/who'
import { providerWords } from '../connections/providers'
import { Facets } from './Facets'
import classes from './Filters.module.css'
import { nobody } from './filters'
import { TextFilter } from './TextFilter'

/** What can be narrowed in one view; what its list does not take is left out. */
export type Part = 'owner' | 'age' | 'status'

/** The filters beside a list of secrets. They are parts of the address. */
export function SideFilters({ parts }: { parts: Part[] }) {
  const [search, change] = useFilters()
  const may = useMe().permissions.includes('connection.list')
  const connections = useQuery({ ...namesQuery, enabled: may })
  const older = [
    { value: '', label: 'Any time' },
    { value: '30', label: 'More than 30 days ago' },
    { value: '90', label: 'More than 90 days ago' },
    { value: '180', label: 'More than 180 days ago' },
    { value: '365', label: 'More than a year ago' },
  ]
  return (
    <Stack gap={12}>
      <NativeSelect
        label="Connection"
        size="xs"
        value={one(search, 'connection')}
        onChange={(event) => change({ connection: event.currentTarget.value })}
        data={[
          { value: '', label: 'All connections' },
          ...(connections.data ?? []).map(({ name }) => ({ value: name, label: name })),
        ]}
      />
      <NativeSelect
        label="Kind of store"
        size="xs"
        value={one(search, 'provider')}
        onChange={(event) => change({ provider: event.currentTarget.value })}
        data={[
          { value: '', label: 'All kinds' },
          ...Object.entries(providerWords).map(([value, { label }]) => ({ value, label })),
        ]}
      />
      {parts.includes('owner') && <OrNobody name="owner" label="Owner" none="Nobody's" />}
      <OrNobody name="environment" label="Assigned environment" none="Without one" />
      {parts.includes('age') && (
        <NativeSelect
          label="Last change"
          size="xs"
          value={one(search, 'older')}
          onChange={(event) => change({ older: event.currentTarget.value })}
          data={older}
        />
      )}
      {parts.includes('status') && (
        <NativeSelect
          label="Still there"
          size="xs"
          value={one(search, 'status')}
          onChange={(event) => change({ status: event.currentTarget.value })}
          data={[
            { value: '', label: 'Present' },
            { value: 'gone', label: 'Gone' },
            { value: 'all', label: 'Present and gone' },
          ]}
        />
      )}
      <Facets />
    </Stack>
  )
}

/** A name to look for, or those without one. */
function OrNobody({ name, label, none }: { name: 'owner' | 'environment'; label: string; none: string }) {
  const [search, change] = useFilters()
  const value = one(search, name)
  return (
    <Stack gap={6}>
      <TextFilter
        label={label}
        size="xs"
        maxLength={128}
        disabled={value === nobody}
        value={value === nobody ? '' : value}
        change={(next) => change({ [name]: next }, { replace: true })}
      />
      <label className={classes.none}>
        <input
          type="checkbox"
          checked={value === nobody}
          onChange={(event) => change({ [name]: event.currentTarget.checked ? nobody : undefined })}
        />
        {none}
      </label>
    </Stack>
  )
}
