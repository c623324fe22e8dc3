import { Anchor, Badge, Group, Paper, Stack, Text, Title } from '@mantine/core'
import { IconGitBranch, IconPlus } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { lazy, Suspense } from 'react'
import type { Governance } from '../../api/governance'
import { useDrafted } from '../../parts/change/drafts'
import { Gone } from '../../parts/governance/Gone'
import { usePeople } from '../../parts/governance/names'
import { find, ofKind, type Typed, type Workflow } from '../../parts/governance/objects'
import { Some } from '../../parts/governance/Some'
import { WithGovernance } from '../../parts/governance/WithGovernance'
import { WorkflowGraph } from '../../parts/governance/WorkflowGraph'
import { approversOf, join } from '../../parts/governance/words'
import { paths } from '../../paths'
import { one, useFilters } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { Page } from '../../ui/Page'
import { Empty, Loading } from '../../ui/states'
import { span } from '../../ui/time'

const WorkflowEditor = lazy(() => import('./WorkflowEditor'))

const title = 'Workflows'
const about = 'Who must agree, in which order, and until when. A request takes its workflow with it as it stands.'

export function Workflows() {
  return (
    <WithGovernance title={title} about={about} doing="read the workflows">
      {(governance) => <Shown governance={governance} />}
    </WithGovernance>
  )
}

function Shown({ governance }: { governance: Governance }) {
  const [search, change] = useFilters()
  const me = useMe()
  const drafted = useDrafted('Workflow')
  const name = one(search, 'workflow')
  const leave = () => change({ workflow: '', new: '' })
  if (name || one(search, 'new')) {
    const thing = name ? find(governance, 'Workflow', name) : undefined
    if (name && !thing) return <Gone title={title} what={`a workflow ${name}`} leave={leave} />
    return (
      <Suspense fallback={<Loading />}>
        <WorkflowEditor key={name} workflow={thing} governance={governance} leave={leave} />
      </Suspense>
    )
  }
  const workflows = ofKind(governance, 'Workflow')
  return (
    <Page
      title={title}
      about={about}
      actions={
        <ActionButton
          blocked={whyNot(me, 'governance.manage', 'write workflows')}
          leftSection={<IconPlus size={15} />}
          onClick={() => change({ new: 'workflow' })}
        >
          New workflow
        </ActionButton>
      }
    >
      {workflows.length === 0 ? (
        <Empty icon={IconGitBranch} title="There is no workflow">
          A workflow says who must agree. Rules lead to it; without one, no rule can ask for approval.
        </Empty>
      ) : (
        <Stack gap={16}>
          <Some of={workflows}>
            {(workflow) => (
              <WorkflowCard
                key={workflow.name}
                workflow={workflow}
                draft={drafted(workflow.name)}
                used={ofKind(governance, 'Rule').filter((rule) => rule.spec.workflow === workflow.name)}
              />
            )}
          </Some>
        </Stack>
      )}
    </Page>
  )
}

function WorkflowCard({
  workflow,
  draft,
  used,
}: {
  workflow: Typed<'Workflow'>
  draft: boolean
  used: Typed<'Rule'>[]
}) {
  const { spec, name } = workflow
  return (
    <Paper
      withBorder
      p={16}
      radius="md"
      bg="var(--sb-surface)"
      component="section"
      aria-labelledby={`workflow-${name}`}
    >
      <Stack gap={12}>
        <Group justify="space-between" align="flex-start" gap={12}>
          <div>
            <Group gap={8}>
              <Title order={2} id={`workflow-${name}`}>
                <Anchor component={Link} to={paths.workflow(name)} inherit>
                  {name}
                </Anchor>
              </Title>
              {draft && <Badge color="gray">Draft</Badge>}
            </Group>
            {spec.description && <Text c="dimmed">{spec.description}</Text>}
          </div>
          <Text size="md" c="dimmed">
            {used.length === 0 ? 'No rule leads to it.' : used.length === 1 ? 'By the rule ' : 'By the rules '}
            {used.slice(0, 6).map((rule, i) => (
              <span key={rule.name}>
                {i > 0 && ', '}
                <Anchor component={Link} to={paths.rule(rule.name)} inherit underline="always">
                  {rule.name}
                </Anchor>
              </span>
            ))}
            {used.length > 6 && ` and ${used.length - 6} more`}
          </Text>
        </Group>
        <WorkflowGraph workflow={spec} label={`${name}, step by step`} />
        <Facts workflow={spec} />
      </Stack>
    </Paper>
  )
}

/** What a workflow asks for besides, in short sentences. */
function Facts({ workflow }: { workflow: Workflow }) {
  const { nameOf } = usePeople()
  const facts: string[] = []
  const j = workflow.justification ?? {}
  if (j.ticket) facts.push(`needs a ticket such as ${j.ticket}`)
  if (j.min_length) facts.push(`a reason of ${j.min_length} characters at least`)
  if (j.pattern) facts.push(`a reason with ${j.pattern}`)
  const stepUp = [workflow.step_up?.approve && 'to approve', workflow.step_up?.reveal && 'to open values'].filter(
    (word): word is string => Boolean(word),
  )
  if (stepUp.length > 0) facts.push(`a second factor ${join(stepUp)}`)
  if (workflow.delegation) facts.push('delegates may vote')
  if (workflow.pending_ttl_seconds) facts.push(`must be approved within ${span(workflow.pending_ttl_seconds)}`)
  if (workflow.approval_ttl_seconds) facts.push(`an approval is good for ${span(workflow.approval_ttl_seconds)}`)
  if (workflow.reveal_ttl_seconds) facts.push(`values can be opened for ${span(workflow.reveal_ttl_seconds)}`)
  if (workflow.break_glass) {
    facts.push(`in emergencies ${approversOf(workflow.break_glass.from, nameOf)} may do without approval`)
  }
  if (facts.length === 0) return null
  return (
    <Group gap={8}>
      {facts.map((fact) => (
        <Badge key={fact} color="gray" maw="100%">
          {fact}
        </Badge>
      ))}
    </Group>
  )
}
