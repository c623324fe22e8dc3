import { Fieldset, Group, SimpleGrid, Stack, Text } from '@mantine/core'
import type { Approvers } from '../../api/governance'
import { usePeople, useRoleNames } from '../governance/names'
import { namesOf } from '../governance/objects'
import { approversOf } from '../governance/words'
import { capital, useEditing, useField } from './Editing'
import { NamesField, PeopleField, SwitchField } from './fields'
import type { Path } from './put'

interface Props {
  path: Path
  label: string
  /** Only people, groups and roles: what it is about has no place, so nobody is its head or owner. */
  placeless?: boolean
}

/** Who may do something: whoever fits one of the fields. */
export function ApproversField({ path, label, placeless = false }: Props) {
  const { governance } = useEditing()
  const { value, error } = useField<Approvers>(path, false)
  const { nameOf } = usePeople()
  const roles = useRoleNames(governance)
  return (
    <Fieldset legend={label}>
      <Stack gap={12}>
        <Text size="md" c={error ? 'red' : 'dimmed'} role={error ? 'alert' : undefined}>
          {error ?? `${capital(approversOf(value, nameOf))}.`}
        </Text>
        <SimpleGrid cols={{ base: 1, sm: 3 }} spacing={12}>
          <PeopleField path={[...path, 'people']} label="People" />
          <NamesField path={[...path, 'groups']} label="Groups" names={namesOf(governance, 'Group')} />
          <NamesField path={[...path, 'roles']} label="Roles" names={roles} />
        </SimpleGrid>
        {!placeless && (
          <Group gap={20}>
            <SwitchField path={[...path, 'team_heads']} label="Heads of the project's team" />
            <SwitchField path={[...path, 'owners']} label="Owners of the secret" />
          </Group>
        )}
      </Stack>
    </Fieldset>
  )
}
