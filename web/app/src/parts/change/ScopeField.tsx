import { Fieldset, SimpleGrid, Text } from '@mantine/core'
import type { Scope } from '../../api/governance'
import { useConnectionNames } from '../governance/names'
import { namesOf, ofKind } from '../governance/objects'
import { where } from '../governance/words'
import { capital, useEditing, useField } from './Editing'
import { NameField, TextField } from './fields'
import type { Path } from './put'

/** A part of the world, with what it covers in words. */
export function ScopeField({ path, label = 'Where' }: { path: Path; label?: string }) {
  const { governance } = useEditing()
  const { value } = useField<Scope>(path)
  const projects = ofKind(governance, 'Project').filter((p) => !value?.project || p.name === value.project)
  const environments = [...new Set(projects.flatMap((p) => (p.spec.environments ?? []).map((e) => e.name ?? '')))]
  const connections = useConnectionNames()
  return (
    <Fieldset legend={label}>
      <Text size="md" mb={12} c="dimmed">
        {capital(where(value))}.{' '}
        {value && Object.keys(value).length > 1 ? 'All of it must fit.' : 'Each field that is set narrows it.'}
      </Text>
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing={12}>
        <NameField
          path={[...path, 'project']}
          label="Project"
          placeholder="Any"
          names={namesOf(governance, 'Project')}
        />
        <NameField path={[...path, 'environment']} label="Environment" placeholder="Any" names={environments} />
        <NameField
          path={[...path, 'environment_kind']}
          label="Kind of environment"
          placeholder="Any"
          names={['prod', 'non-prod']}
        />
        <NameField path={[...path, 'team']} label="Team" placeholder="Any" names={namesOf(governance, 'Team')} />
        <NameField path={[...path, 'connection']} label="Connection" placeholder="Any" names={connections} />
        <TextField path={[...path, 'prefix']} label="Below the path" placeholder="Any, such as prod/" />
      </SimpleGrid>
    </Fieldset>
  )
}
