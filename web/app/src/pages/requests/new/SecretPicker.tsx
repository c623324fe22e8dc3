import { Autocomplete, Badge, Group, Loader, Stack, Text } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { findSecretsQuery, namedQuery, type Secret } from '../../../api/asking'
import { SecretName } from '../../../parts/SecretName'
import { useMe, whyNot } from '../../../session/who'
import { type Operation, whole } from './draft'

interface Props {
  value: string
  operation: Operation
  error: string | undefined
  onChange: (secret: string) => void
}

/** How long somebody does not type before a search, in milliseconds. */
const pause = 250

/** Finds a secret by its path or labels. What is in no inventory can be typed as well. */
export function SecretPicker({ value, operation, error, onChange }: Props) {
  const refused = whyNot(useMe(), 'secret.list', 'search the inventory')
  const [opened, setOpened] = useState(false)
  const [typed] = useDebouncedValue(value.trim(), pause)
  const found = useQuery({ ...findSecretsQuery(typed), enabled: !refused, placeholderData: keepPreviousData })
  const named = useQuery({ ...namedQuery(typed), enabled: !refused && whole(typed) })
  const offered = new Map((operation === 'create' ? [] : (found.data ?? [])).map((secret) => [secret.secret, secret]))
  return (
    <Autocomplete
      label="Secret"
      description={
        refused
          ? 'As connection/path, such as file/prod/db/password. You may not search the inventory.'
          : hint(operation)
      }
      placeholder={operation === 'create' ? 'file/prod/new/secret' : 'Search, or type connection/path'}
      required
      withAsterisk={false}
      maxLength={553}
      spellCheck={false}
      autoCapitalize="off"
      value={value}
      onChange={onChange}
      dropdownOpened={opened}
      onDropdownOpen={() => setOpened(true)}
      onDropdownClose={() => setOpened(false)}
      onKeyDown={(event) => {
        if (event.key !== 'Enter') return
        event.preventDefault() // it takes the path, and does not send the form
        setOpened(false)
      }}
      error={error ?? state(operation, typed === value.trim() ? named.data : undefined)}
      data={[...offered.keys()]}
      filter={({ options }) => options}
      maxDropdownHeight={360}
      rightSection={found.isFetching && !refused ? <Loader size={14} aria-hidden /> : null}
      renderOption={({ option }) => <Option secret={offered.get(option.value)} name={option.value} />}
    />
  )
}

const hint = (operation: Operation) =>
  operation === 'create'
    ? 'Where the new secret will lie, as connection/path, such as file/prod/db/password. There must be none yet.'
    : 'By its path, or by labels such as team:billing. One that no scan has met yet can be typed as connection/path, such as file/prod/db/password.'

/** What the inventory says against it. */
function state(operation: Operation, named: Secret | null | undefined): string | undefined {
  if (operation === 'create' && named?.status === 'present')
    return 'There is a secret of this name already: ask to change it instead.'
  return undefined
}

function Option({ secret, name }: { secret: Secret | undefined; name: string }) {
  const labels = Object.entries(secret?.labels ?? {})
  return (
    <Stack gap={2} py={2} miw={0}>
      <SecretName secret={name} />
      <Group gap={6}>
        {labels.slice(0, 4).map(([label, value]) => (
          <Badge key={label} size="xs" color="gray">
            {label}: {value}
          </Badge>
        ))}
        {secret?.owner && (
          <Text size="xs" c="dimmed">
            owned by {secret.owner}
          </Text>
        )}
      </Group>
    </Stack>
  )
}
