import { ActionIcon, Button, Fieldset, Group, SimpleGrid, Stack, Tooltip } from '@mantine/core'
import { IconPlus, IconTrash } from '@tabler/icons-react'
import { useEditing, useField } from '../../parts/change/Editing'
import { ChoiceField, NameField, NamesField, PeopleField, TextField, TextsField } from '../../parts/change/fields'
import { ScopeField } from '../../parts/change/ScopeField'
import { useConnectionNames, useRoleNames } from '../../parts/governance/names'
import { type Binding, type Environment, find, type Grant, namesOf, type Project } from '../../parts/governance/objects'
import { Card } from '../../ui/Card'

const kinds = [
  { value: 'prod', label: 'Production' },
  { value: 'non-prod', label: 'Not production' },
]

function Remove({ label, act }: { label: string; act: () => void }) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" aria-label={label} onClick={act}>
        <IconTrash size={16} />
      </ActionIcon>
    </Tooltip>
  )
}

export function TeamForm() {
  const { governance, draft } = useEditing()
  return (
    <Card>
      <Stack gap={16}>
        <TextField path={['description']} label="Description" description="For people." long />
        <NameField
          path={['parent']}
          label="Below the team"
          placeholder="None: it is a root"
          names={namesOf(governance, 'Team').filter((name) => name !== draft.name)}
        />
        <PeopleField path={['heads']} label="Heads" description="They decide for the team; they need not be members." />
        <PeopleField path={['members']} label="Members" description="Being a member gives nothing by itself." />
      </Stack>
    </Card>
  )
}

export function GroupForm() {
  const { governance } = useEditing()
  const roles = useRoleNames(governance)
  const { value, set } = useField<Grant[]>(['grants'], false)
  const grants = value ?? []
  return (
    <Stack gap={16}>
      <Card>
        <Stack gap={16}>
          <TextField path={['description']} label="Description" description="For people." long />
          <PeopleField path={['members']} label="Members, by hand" />
          <TextField
            path={['claim']}
            label="Group of the identity provider"
            description="Whoever it says is in this group belongs here as well."
          />
        </Stack>
      </Card>
      <Card title="What everybody in it may do">
        <Stack gap={12}>
          {grants.map((_, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: grants have no names
            <Fieldset key={i} legend={`Grant ${i + 1}`}>
              <Stack gap={12}>
                <Group align="flex-end" justify="space-between" wrap="nowrap">
                  <NameField path={['grants', i, 'role']} label="Role" required names={roles} />
                  <Remove label={`Remove grant ${i + 1}`} act={() => set(grants.filter((_, at) => at !== i))} />
                </Group>
                <ScopeField path={['grants', i, 'scope']} />
              </Stack>
            </Fieldset>
          ))}
          <Group>
            <Button
              variant="default"
              leftSection={<IconPlus size={15} />}
              onClick={() => set([...grants, { role: 'developer' }])}
            >
              Add a grant
            </Button>
          </Group>
        </Stack>
      </Card>
    </Stack>
  )
}

export function ProjectForm() {
  const { governance } = useEditing()
  const { value, set, error } = useField<Environment[]>(['environments'], false)
  const environments = value ?? []
  return (
    <Stack gap={16}>
      <Card>
        <Stack gap={16}>
          <TextField path={['description']} label="Description" description="For people." long />
          <NameField
            path={['team']}
            label="Team"
            description="Whose it is: its heads can be asked to decide."
            names={namesOf(governance, 'Team')}
          />
        </Stack>
      </Card>
      <Card title="Environments">
        <Stack gap={12}>
          {environments.map((environment, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: an environment has no name until somebody types one
            <Fieldset key={i} legend={environment.name || `Environment ${i + 1}`}>
              <Stack gap={12}>
                <SimpleGrid cols={{ base: 1, xs: 2 }} spacing={12}>
                  <TextField path={['environments', i, 'name']} label="Name" required />
                  <TextField path={['environments', i, 'description']} label="Description" />
                </SimpleGrid>
                <Group justify="space-between" align="flex-end">
                  <ChoiceField path={['environments', i, 'kind']} label="Kind" choices={kinds} />
                  <Remove
                    label={`Remove ${environment.name || `environment ${i + 1}`}`}
                    act={() => set(environments.filter((_, at) => at !== i))}
                  />
                </Group>
              </Stack>
            </Fieldset>
          ))}
          {error && <span role="alert">{error}</span>}
          <Group>
            <Button
              variant="default"
              leftSection={<IconPlus size={15} />}
              onClick={() => set([...environments, { name: '', kind: 'non-prod' }])}
            >
              Add an environment
            </Button>
          </Group>
        </Stack>
      </Card>
    </Stack>
  )
}

export function BindingForm() {
  const { governance, draft } = useEditing()
  const binding = draft.spec as Binding
  const project = binding.project
    ? (find(governance, 'Project', binding.project)?.spec as Project | undefined)
    : undefined
  return (
    <Card>
      <Stack gap={16}>
        <SimpleGrid cols={{ base: 1, xs: 2 }} spacing={12}>
          <NameField path={['connection']} label="Connection" required names={useConnectionNames()} />
          <TextField path={['prefix']} label="Below the path" placeholder="All of it, or such as prod/" />
          <NameField path={['project']} label="Project" required names={namesOf(governance, 'Project')} />
          <NameField
            path={['environment']}
            label="Environment"
            required
            names={(project?.environments ?? []).map((e) => e.name ?? '')}
          />
        </SimpleGrid>
        <NamesField
          path={['operations']}
          label="What may be asked for"
          description="read is to see values, patch is to change them."
          names={['read', 'patch']}
        />
        <TextsField
          path={['keys']}
          label="Only these keys"
          description="Left out: all. Press Enter after each."
          placeholder="All"
        />
      </Stack>
    </Card>
  )
}
