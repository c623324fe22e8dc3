import { Fieldset, SimpleGrid, TextInput } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useId } from 'react'
import { connectionNamesQuery, governanceQuery } from '../api/governance'
import { useMe } from '../session/who'
import type { ScopeText } from './scopeText'

interface Props {
  value: ScopeText
  change: (scope: ScopeText) => void
}

/** A part of the world, field by field. What there is comes up as one types, for who may read it. */
export function ScopeInputs({ value, change }: Props) {
  const me = useMe()
  const governance = useQuery({ ...governanceQuery, enabled: me.permissions.includes('governance.read') })
  const connections = useQuery({ ...connectionNamesQuery, enabled: me.permissions.includes('connection.list') })
  const named = (kind: string) => (governance.data?.objects ?? []).filter((o) => o.kind === kind).map((o) => o.name)
  const environments = (governance.data?.objects ?? [])
    .filter((o) => o.kind === 'Project' && (!value.project || o.name === value.project))
    .flatMap((o) => ((o.spec as { environments?: { name: string }[] }).environments ?? []).map(({ name }) => name))
  const field = (name: keyof ScopeText, label: string, names: string[]) => (
    <NameInput
      label={label}
      names={names}
      value={value[name] ?? ''}
      change={(text) => change({ ...value, [name]: text })}
    />
  )
  return (
    <Fieldset legend="Where">
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing={12}>
        {field('project', 'Project', named('Project'))}
        {field('environment', 'Environment', [...new Set(environments)])}
        {field('environment_kind', 'Kind of environment', ['prod', 'non-prod'])}
        {field('team', 'Team', named('Team'))}
        {field('connection', 'Connection', connections.data ?? [])}
        {field('prefix', 'Below the path', [])}
      </SimpleGrid>
    </Fieldset>
  )
}

function NameInput({
  label,
  names,
  value,
  change,
}: {
  label: string
  names: string[]
  value: string
  change: (text: string) => void
}) {
  const id = useId()
  return (
    <>
      <TextInput
        label={label}
        placeholder="Any"
        maxLength={512}
        list={names.length > 0 ? id : undefined}
        value={value}
        onChange={(event) => change(event.currentTarget.value)}
      />
      {names.length > 0 && (
        <datalist id={id}>
          {names.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
      )}
    </>
  )
}
