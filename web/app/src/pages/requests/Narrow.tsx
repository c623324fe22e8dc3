import { Badge, Button, NativeSelect, Pill, Popover, Stack, TextInput } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconFilter } from '@tabler/icons-react'
import { useState } from 'react'
import { type RequestState, stateWords } from '../../parts/requestWords'
import { many, type Search, useFilters } from '../../search'
import { type Narrowing, narrowed, narrowing, operations } from './views'

/** The further filters: those that are set, each to take away, and the way to set others. */
export function Narrow() {
  const [search, change] = useFilters()
  const [opened, { toggle, close }] = useDisclosure()
  const set = narrowed(search)
  const states = many(search, 'state').filter((state): state is RequestState => state in stateWords)
  return (
    <>
      {states.map((state) => (
        <Pill
          key={state}
          size="md"
          withRemoveButton
          onRemove={() => change({ state: states.filter((other) => other !== state) })}
          removeButtonProps={{
            'aria-label': `Also others than ${stateWords[state].label}`,
            'aria-hidden': false,
            tabIndex: 0,
          }}
        >
          {stateWords[state].label}
        </Pill>
      ))}
      {set.map(([name, value]) => (
        <Pill
          key={name}
          size="md"
          withRemoveButton
          onRemove={() => change({ [name]: '' })}
          removeButtonProps={{
            'aria-label': `Any ${narrowing[name].toLowerCase()}`,
            'aria-hidden': false,
            tabIndex: 0,
          }}
        >
          {narrowing[name]}: {name === 'operation' ? (operations[value as keyof typeof operations] ?? value) : value}
        </Pill>
      ))}
      <Popover
        opened={opened}
        onChange={(open) => open || close()}
        position="bottom-end"
        width={300}
        trapFocus
        shadow="md"
      >
        <Popover.Target>
          <Button
            size="xs"
            variant="default"
            leftSection={<IconFilter size={15} aria-hidden />}
            rightSection={set.length > 0 && <Badge size="xs">{set.length}</Badge>}
            onClick={toggle}
          >
            Filter
          </Button>
        </Popover.Target>
        <Popover.Dropdown aria-label="Filters">
          <Form
            before={Object.fromEntries(set)}
            apply={(next) => {
              change(next)
              close()
            }}
          />
        </Popover.Dropdown>
      </Popover>
    </>
  )
}

function Form({ before, apply }: { before: Search; apply: (next: Search) => void }) {
  const [typed, setTyped] = useState<Record<string, string>>(before as Record<string, string>)
  const field = (name: Narrowing) => ({
    label: narrowing[name],
    value: typed[name] ?? '',
    onChange: (event: { currentTarget: { value: string } }) =>
      setTyped({ ...typed, [name]: event.currentTarget.value }),
  })
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        const next: Search = {}
        for (const name of Object.keys(narrowing)) next[name] = (typed[name] ?? '').trim()
        apply(next)
      }}
    >
      <Stack gap="sm">
        <NativeSelect
          {...field('operation')}
          data={[
            { value: '', label: 'Any' },
            ...Object.entries(operations).map(([value, label]) => ({ value, label })),
          ]}
        />
        <TextInput {...field('secret')} placeholder="file/prod/db/password" maxLength={553} />
        <TextInput {...field('connection')} placeholder="vault" maxLength={40} />
        <TextInput {...field('project')} placeholder="shop" maxLength={40} />
        <TextInput {...field('environment')} placeholder="live" maxLength={1024} />
        <Button type="submit" fullWidth>
          Apply
        </Button>
      </Stack>
    </form>
  )
}
