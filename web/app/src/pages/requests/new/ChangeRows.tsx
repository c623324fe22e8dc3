import { ActionIcon, Autocomplete, Button, Group, NativeSelect, Stack, Text, Tooltip } from '@mantine/core'
import { IconPlus, IconTrash } from '@tabler/icons-react'
import type { RefObject } from 'react'
import { Fault } from '../values/sealing'
import { ValueField, type ValueHandle } from '../values/ValueField'
import { type Draft, emptyRow, type Row } from './draft'
import classes from './NewRequest.module.css'

/** The most keys that one request changes. */
const most = 64

interface Props {
  draft: Draft
  names: string[]
  error: unknown
  fields: RefObject<Map<number, ValueHandle>>
  onChange: (rows: Row[]) => void
  /** A value was typed, which is in no row. */
  onEdit: () => void
}

/** What becomes of each key: it gets a new value, or goes. */
export function ChangeRows({ draft, names, error, fields, onChange, onEdit }: Props) {
  const { rows, fill, operation } = draft
  const update = (id: number, change: Partial<Row>) =>
    onChange(rows.map((row) => (row.id === id ? { ...row, ...change } : row)))
  const left = names.filter((name) => !rows.some(({ key }) => key === name))
  return (
    <Stack gap="sm">
      {rows.map((row, index) => {
        const which = row.key || `key ${index + 1}`
        const fault = error instanceof Fault && error.key === row.key.trim() ? error.message : undefined
        return (
          <div key={row.id} className={classes.row} role="group" aria-label={`Change of ${which}`}>
            <Autocomplete
              aria-label={`Name of key ${index + 1}`}
              placeholder="Key, such as password"
              maxLength={256}
              spellCheck={false}
              autoCapitalize="off"
              className={classes.key ?? ''}
              value={row.key}
              onChange={(key) => update(row.id, { key })}
              data={left}
            />
            {operation === 'change' && !fill.on && (
              <NativeSelect
                aria-label={`What to do with ${which}`}
                value={row.action}
                onChange={(event) => update(row.id, { action: event.currentTarget.value as Row['action'] })}
                data={[
                  { value: 'set', label: 'Set' },
                  { value: 'unset', label: 'Remove' },
                ]}
                w={100}
              />
            )}
            <div className={classes.value}>
              {fill.on ? (
                <Text size="sm" c="dimmed">
                  Filled in by {fill.team.trim() || 'the other team'}
                </Text>
              ) : row.action === 'unset' ? (
                <Text size="sm" c="dimmed">
                  The key goes away with its value
                </Text>
              ) : (
                <ValueField
                  name={row.key.trim()}
                  label={`Value of ${which}`}
                  error={fault}
                  onEdit={onEdit}
                  ref={(handle) => {
                    if (!handle) return
                    fields.current.set(row.id, handle)
                    return () => {
                      fields.current.delete(row.id)
                    }
                  }}
                />
              )}
            </div>
            <Tooltip label={rows.length === 1 ? 'A change has one key at least' : 'Take this row away'}>
              <ActionIcon
                variant="subtle"
                color="gray"
                size={36}
                aria-label={`Take the row of ${which} away`}
                data-disabled={rows.length === 1 || undefined}
                aria-disabled={rows.length === 1}
                onClick={() => rows.length > 1 && onChange(rows.filter(({ id }) => id !== row.id))}
              >
                <IconTrash size={17} />
              </ActionIcon>
            </Tooltip>
          </div>
        )
      })}
      {error !== undefined && !(error instanceof Fault && rows.some(({ key }) => key.trim() === error.key)) && (
        <Text size="sm" c="var(--mantine-color-error)" role="alert">
          {error instanceof Error ? error.message : String(error)}
        </Text>
      )}
      <Group>
        <Button
          size="xs"
          variant="default"
          leftSection={<IconPlus size={15} aria-hidden />}
          disabled={rows.length >= most}
          onClick={() => onChange([...rows, emptyRow(Math.max(...rows.map(({ id }) => id)) + 1)])}
        >
          Another key
        </Button>
      </Group>
    </Stack>
  )
}
