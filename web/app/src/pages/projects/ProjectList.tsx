import { Anchor, Badge, Button, Stack, Text } from '@mantine/core'
import { IconBuildingCommunity, IconPlus } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import type { Governance } from '../../api/governance'
import { useDrafted } from '../../parts/change/drafts'
import { type Environment, ofKind, type Typed } from '../../parts/governance/objects'
import { Some } from '../../parts/governance/Some'
import { does } from '../../parts/governance/words'
import { SecretName } from '../../parts/SecretName'
import { paths } from '../../paths'
import { useMe } from '../../session/who'
import { Card } from '../../ui/Card'
import { Empty } from '../../ui/states'
import classes from './Projects.module.css'

/** Projects with their environments, and which secrets each of them covers. */
export function ProjectList({ governance, text }: { governance: Governance; text: string }) {
  const projects = ofKind(governance, 'Project').filter((p) => p.name.includes(text.toLowerCase()))
  const bindings = new Map<string, Typed<'Binding'>[]>()
  for (const binding of ofKind(governance, 'Binding')) {
    const place = `${binding.spec.project}/${binding.spec.environment}`
    bindings.set(place, [...(bindings.get(place) ?? []), binding])
  }
  const drafted = useDrafted('Project')
  if (projects.length === 0) {
    return (
      <Empty icon={IconBuildingCommunity} title={text ? 'No project has that name' : 'There is no project yet'}>
        A project is what secrets serve. Its environments say where they lie, and whether that is production; bindings
        say which paths of a connection belong to which of them.
      </Empty>
    )
  }
  return (
    <Stack gap={16}>
      <Some of={projects}>
        {(project) => (
          <Card
            key={project.name}
            title={
              <>
                <Anchor component={Link} to={paths.governed('Project', project.name)} inherit>
                  {project.name}
                </Anchor>
                {drafted(project.name) && (
                  <Badge color="gray" ml={8}>
                    Draft
                  </Badge>
                )}
              </>
            }
            actions={
              project.spec.team && (
                <Text c="dimmed" size="md">
                  of the team{' '}
                  <Anchor component={Link} to={paths.governed('Team', project.spec.team)} inherit underline="always">
                    {project.spec.team}
                  </Anchor>
                </Text>
              )
            }
          >
            {project.spec.description && (
              <Text c="dimmed" mt={-8} mb={8}>
                {project.spec.description}
              </Text>
            )}
            <ul className={classes.environments}>
              {(project.spec.environments ?? []).map((environment) => (
                <Stage
                  key={environment.name}
                  project={project.name}
                  environment={environment}
                  bindings={bindings.get(`${project.name}/${environment.name}`) ?? []}
                />
              ))}
            </ul>
          </Card>
        )}
      </Some>
    </Stack>
  )
}

interface StageProps {
  project: string
  environment: Environment
  bindings: Typed<'Binding'>[]
}

function Stage({ project, environment, bindings }: StageProps) {
  const manage = useMe().permissions.includes('governance.manage')
  const name = environment.name ?? ''
  return (
    <li className={classes.environment}>
      <div>
        <strong>{name}</strong>{' '}
        <Badge color={environment.kind === 'prod' ? 'red' : 'gray'}>
          {environment.kind === 'prod' ? 'Production' : 'Not production'}
        </Badge>
        {environment.description && (
          <Text size="sm" c="dimmed">
            {environment.description}
          </Text>
        )}
      </div>
      <div>
        {bindings.length === 0 && (
          <Text size="md" c="dimmed">
            Covers nothing yet: no binding leads here.
          </Text>
        )}
        {bindings.map((binding) => (
          <Text key={binding.name} size="md">
            covers <SecretName secret={`${binding.spec.connection}/${binding.spec.prefix ?? ''}`} />{' '}
            <Text span c="dimmed">
              to {does(binding.spec.operations)}
              {binding.spec.keys && binding.spec.keys.length > 0 && `, keys ${binding.spec.keys.join(', ')}`} ·{' '}
              <Anchor component={Link} to={paths.governed('Binding', binding.name)} inherit underline="always">
                {binding.name}
              </Anchor>
            </Text>
          </Text>
        ))}
      </div>
      {manage && (
        <Button
          component={Link}
          to={paths.newBinding(project, name)}
          size="xs"
          variant="default"
          leftSection={<IconPlus size={14} />}
          aria-label={`Add paths to ${project} / ${name}`}
        >
          Add paths
        </Button>
      )}
    </li>
  )
}
