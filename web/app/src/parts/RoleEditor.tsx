import { Checkbox, Fieldset, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { Governance } from '../api/governance'
import { permissionsQuery } from '../api/governance'
import type { Draft } from './change/draft'
import { useField } from './change/Editing'
import { Editor } from './change/Editor'
import { TextField } from './change/fields'
import { areas, areaWords } from './roleWords'

/** A role of one's own: what it is for, and what it lets somebody do. */
export default function RoleEditor({
  begin,
  governance,
  leave,
}: {
  begin: Draft
  governance: Governance
  leave: () => void
}) {
  return <Editor drawer begin={begin} governance={governance} back="All roles" leave={leave} form={<RoleForm />} />
}

function RoleForm() {
  const { value, set, error } = useField<string[]>(['permissions'])
  const { data } = useQuery(permissionsQuery)
  const holds = value ?? []
  const known = new Set<string>((data?.permissions ?? []).map((p) => p.permission))
  return (
    <Stack gap={16}>
      <TextField path={['description']} label="Description" description="For people." long />
      {error && (
        <Text c="red" size="md" role="alert">
          {error}
        </Text>
      )}
      {areas(data?.permissions ?? []).map(([area, list]) => (
        <Fieldset key={area} legend={areaWords(area)}>
          <Stack gap={8}>
            {list.map((p) => (
              <Checkbox
                key={p.permission}
                label={p.sentence}
                size="md"
                styles={{ label: { fontSize: 'var(--mantine-font-size-md)' } }}
                checked={holds.includes(p.permission)}
                onChange={(event) =>
                  set(
                    event.currentTarget.checked
                      ? [...holds, p.permission].sort()
                      : holds.filter((held) => held !== p.permission),
                  )
                }
              />
            ))}
          </Stack>
        </Fieldset>
      ))}
      {data && holds.some((held) => !known.has(held)) && (
        <Text size="md" c="dimmed">
          Also, unknown to this server: {holds.filter((held) => !known.has(held)).join(', ')}
        </Text>
      )}
    </Stack>
  )
}
