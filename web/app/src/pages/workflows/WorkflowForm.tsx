import { ActionIcon, Button, Group, SimpleGrid, Stack, Text, Tooltip } from '@mantine/core'
import { IconArrowDown, IconArrowUp, IconPlus, IconTrash } from '@tabler/icons-react'
import { ApproversField } from '../../parts/change/ApproversField'
import { useEditing, useField } from '../../parts/change/Editing'
import { ChoiceField, NumberField, SecondsField, SwitchField, TextField } from '../../parts/change/fields'
import type { Step, Workflow } from '../../parts/governance/objects'
import { WorkflowGraph } from '../../parts/governance/WorkflowGraph'
import { nobody } from '../../parts/governance/words'
import { Card } from '../../ui/Card'

/** The server takes no more (docs/reference/governance.md). */
const mostSteps = 10

/** What a workflow says, step by step. */
export function WorkflowForm() {
  const { draft } = useEditing()
  return (
    <Stack gap={16}>
      <Card>
        <WorkflowGraph workflow={draft.spec as Workflow} label="The draft, step by step" />
      </Card>
      <Steps />
      <Card title="What it asks for">
        <Stack gap={16}>
          <TextField path={['description']} label="Description" description="For people." long />
          <SimpleGrid cols={{ base: 1, xs: 2 }} spacing={12}>
            <NumberField
              path={['justification', 'min_length']}
              label="Shortest reason, in characters"
              placeholder="Any"
              min={1}
              max={1000}
            />
            <TextField
              path={['justification', 'ticket']}
              label="Form of the ticket"
              placeholder="None is needed, or such as OPS-[0-9]+"
            />
            <TextField path={['justification', 'pattern']} label="Somewhere in the reason" placeholder="Anything" />
          </SimpleGrid>
          <SwitchField path={['step_up', 'approve']} label="Whoever approves shows a second factor" />
          <SwitchField path={['step_up', 'reveal']} label="Whoever opens a value shows a second factor" />
          <SwitchField path={['delegation']} label="An approver's delegate may vote" />
          <ApproversField path={['veto']} label="Who may say no at any step" />
        </Stack>
      </Card>
      <Card title="When things end">
        <Stack gap={16}>
          <SecondsField
            path={['pending_ttl_seconds']}
            label="It must be approved within"
            placeholder="As the installation has it"
          />
          <SecondsField
            path={['approval_ttl_seconds']}
            label="An approval is good for"
            placeholder="As the installation has it"
          />
          <SecondsField
            path={['reveal_ttl_seconds']}
            label="Values can be opened for"
            placeholder="As the installation has it"
          />
          <ChoiceField
            path={['reapprove']}
            label="When the secret changes after the approvals, a change needs them again"
            choices={[
              { value: '', label: 'As the installation has it' },
              { value: 'never', label: 'Never' },
              { value: 'touched_keys', label: 'If its keys did' },
              { value: 'any_change', label: 'Always' },
            ]}
          />
        </Stack>
      </Card>
      <BreakGlass />
    </Stack>
  )
}

function Steps() {
  const { value, set } = useField<Step[]>(['steps'], false)
  const steps = value ?? []
  const move = (from: number, to: number) => {
    const next = steps.slice()
    const [step] = next.splice(from, 1)
    if (step) next.splice(to, 0, step)
    set(next)
  }
  return (
    <Stack gap={12}>
      {steps.map((step, i) => (
        <Card
          // biome-ignore lint/suspicious/noArrayIndexKey: a step has no name of its own until somebody types one
          key={i}
          title={`Step ${i + 1}`}
          actions={
            <>
              <StepAction label={`Move step ${i + 1} up`} off={i === 0} act={() => move(i, i - 1)}>
                <IconArrowUp size={16} />
              </StepAction>
              <StepAction label={`Move step ${i + 1} down`} off={i === steps.length - 1} act={() => move(i, i + 1)}>
                <IconArrowDown size={16} />
              </StepAction>
              <StepAction
                label={`Remove step ${i + 1}`}
                off={steps.length === 1}
                act={() => set(steps.filter((_, at) => at !== i))}
              >
                <IconTrash size={16} />
              </StepAction>
            </>
          }
        >
          <StepFields at={i} step={step} />
        </Card>
      ))}
      <Group>
        <Button
          variant="default"
          leftSection={<IconPlus size={15} />}
          disabled={steps.length >= mostSteps}
          onClick={() => set([...steps, { id: freshId(steps), approvals: 1 }])}
        >
          Add a step
        </Button>
        {steps.length >= mostSteps && (
          <Text size="sm" c="dimmed">
            A workflow has {mostSteps} steps at most.
          </Text>
        )}
      </Group>
    </Stack>
  )
}

function StepAction({
  label,
  off,
  act,
  children,
}: {
  label: string
  off: boolean
  act: () => void
  children: React.ReactNode
}) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" aria-label={label} disabled={off} onClick={act}>
        {children}
      </ActionIcon>
    </Tooltip>
  )
}

function StepFields({ at, step }: { at: number; step: Step }) {
  const late = Boolean(step.escalate_after_seconds) || !nobody(step.fallback)
  return (
    <Stack gap={12}>
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing={12}>
        <TextField path={['steps', at, 'id']} label="Name of the step" required />
        <NumberField path={['steps', at, 'approvals']} label="How many must agree" min={1} max={20} required />
      </SimpleGrid>
      <ApproversField path={['steps', at, 'from']} label="Who may agree" />
      <SimpleGrid cols={{ base: 1, sm: 2 }} spacing={12}>
        <SecondsField path={['steps', at, 'remind_after_seconds']} label="Remind again after" placeholder="Never" />
        <SecondsField path={['steps', at, 'escalate_after_seconds']} label="Let others in after" placeholder="Never" />
      </SimpleGrid>
      {late && <ApproversField path={['steps', at, 'fallback']} label="Who comes in then" />}
    </Stack>
  )
}

function BreakGlass() {
  const { act } = useEditing()
  const glass = useField<Workflow['break_glass']>(['break_glass'], false).value
  return (
    <Card
      title="Doing without approval"
      actions={
        <Button
          size="xs"
          variant="default"
          onClick={() =>
            act({
              do: 'put',
              path: ['break_glass'],
              value: glass ? undefined : { review_within_seconds: 86_400, min_length: 10 },
            })
          }
        >
          {glass ? 'Allow it to nobody' : 'Allow it in emergencies'}
        </Button>
      }
    >
      <Stack gap={16}>
        {glass ? (
          <>
            <ApproversField path={['break_glass', 'from']} label="Who may, with a second reason" placeless />
            <ApproversField path={['break_glass', 'review']} label="Who looks at it afterwards" />
            <SimpleGrid cols={{ base: 1, sm: 2 }} spacing={12}>
              <SecondsField path={['break_glass', 'review_within_seconds']} label="Review within" />
              <NumberField
                path={['break_glass', 'min_length']}
                label="Shortest second reason, in characters"
                min={1}
                max={1000}
              />
            </SimpleGrid>
          </>
        ) : (
          <Text size="md" c="dimmed">
            Nobody may do without approval.
          </Text>
        )}
      </Stack>
    </Card>
  )
}

/** freshId is a name that no step has. */
function freshId(steps: Step[]): string {
  let n = steps.length + 1
  while (steps.some((step) => step.id === `step-${n}`)) n++
  return `step-${n}`
}
