import {
  Alert,
  Badge,
  Collapse,
  Group,
  Loader,
  Stack,
  Text,
  ThemeIcon,
  Timeline,
  Title,
  UnstyledButton,
} from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconCheck, IconChevronDown, IconCircleDashed, IconLock, IconUsers } from '@tabler/icons-react'
import type { UseQueryResult } from '@tanstack/react-query'
import type { Explanation } from '../../../api/asking'
import { Refusal, sentence } from '../../../api/problem'
import { nameOf, whoDecides } from '../../../parts/requestWords'
import classes from './NewRequest.module.css'
import { clauseText, needs, usually, whyRefused } from './verdict'

interface Props {
  /** Nothing is asked about yet. */
  idle: boolean
  result: Pick<UseQueryResult<Explanation>, 'data' | 'error' | 'isFetching'>
}

/** What the rules say of a request before it is sent. The server says it again when it is. */
export function Verdict({ idle, result }: Props) {
  return (
    <section className={classes.verdict} aria-label="What will happen" aria-live="polite">
      <Group justify="space-between" wrap="nowrap">
        <Title order={2}>What will happen</Title>
        {result.isFetching && !idle && <Loader size={14} aria-hidden />}
      </Group>
      <Said idle={idle} result={result} />
    </section>
  )
}

function Said({ idle, result }: Props) {
  const x = result.data
  if (idle) {
    return (
      <Text c="dimmed" size="md">
        Choose a secret, and this says whether you may ask for it, who decides, and how long that usually takes.
      </Text>
    )
  }
  if (result.error) return <NotAsked error={result.error} />
  if (!x) {
    return (
      <Text c="dimmed" size="md">
        Asking the rules.
      </Text>
    )
  }
  return x.allowed ? <Allowed x={x} /> : <Refused x={x} />
}

function NotAsked({ error }: { error: unknown }) {
  const refused = error instanceof Refusal
  return (
    <Alert
      color={refused ? 'red' : 'gray'}
      icon={refused ? <IconLock size={18} /> : undefined}
      title={refused ? 'This cannot be asked for' : 'The rules cannot be asked now'}
    >
      {sentence(error)}
    </Alert>
  )
}

function Refused({ x }: { x: Explanation }) {
  return (
    <>
      <Group gap="sm" wrap="nowrap" align="flex-start">
        <ThemeIcon color="red" variant="light" radius="xl" aria-hidden>
          <IconLock size={17} />
        </ThemeIcon>
        <Stack gap={4}>
          <Text fw={600}>You may not ask for this</Text>
          <Text>{whyRefused(x)}</Text>
        </Stack>
      </Group>
      <Clauses x={x} />
    </>
  )
}

function Allowed({ x }: { x: Explanation }) {
  const place = [x.place?.project, x.place?.environment].filter(Boolean).join(' / ')
  const soon = usually(x)
  return (
    <>
      <Group gap="sm" wrap="nowrap" align="flex-start">
        <ThemeIcon color="green" variant="light" radius="xl" aria-hidden>
          <IconCheck size={17} />
        </ThemeIcon>
        <Stack gap={4}>
          <Text fw={600}>You may ask for this</Text>
          <Text>{needs(x)}</Text>
          {soon && <Text c="dimmed">{soon}</Text>}
        </Stack>
      </Group>
      {x.steps.length > 0 && (
        <Timeline bulletSize={22} lineWidth={2} active={-1}>
          {x.steps.map((step) => (
            <Timeline.Item
              key={step.step}
              bullet={<IconCircleDashed size={14} aria-hidden />}
              title={`${step.approvals === 1 ? 'One approval' : `${step.approvals} approvals`} from ${whoDecides(step.from)}`}
            >
              <Voters step={step} />
            </Timeline.Item>
          ))}
        </Timeline>
      )}
      <Group gap={6}>
        {place && <Badge color="gray">{place}</Badge>}
        {x.place?.environment_kind === 'prod' && <Badge color="yellow">Production</Badge>}
        {x.wants?.step_up && <Badge color="violet">Opened with your second factor</Badge>}
        {x.wants?.break_glass && <Badge color="red">Can be done without approval</Badge>}
      </Group>
      {(x.withheld ?? []).length > 0 && (
        <Text size="sm" c="dimmed">
          Elsewhere you could read it at once; not in production.
        </Text>
      )}
      <Clauses x={x} />
    </>
  )
}

function Voters({ step }: { step: Explanation['steps'][number] }) {
  if (step.stranded) {
    return (
      <Text size="sm" c="var(--mantine-color-error)">
        Too few people can approve this step now. Tell whoever keeps the policies before you wait for it.
      </Text>
    )
  }
  const names = (step.people ?? []).map(nameOf)
  return (
    <Group gap={6} wrap="nowrap" align="flex-start">
      <IconUsers size={15} aria-hidden />
      <Text size="sm" c="dimmed">
        {step.voters === 1 ? 'One person can' : `${step.voters} people can`}
        {names.length > 0 && `: ${names.slice(0, 5).join(', ')}${names.length > 5 ? ' and others' : ''}`}
        {step.voters < step.approvals && step.fallback_voters > 0 && ', more once it is escalated'}
      </Text>
    </Group>
  )
}

/** Every rule that was looked at, for who wants to know. */
function Clauses({ x }: { x: Explanation }) {
  const [opened, { toggle }] = useDisclosure()
  if (x.clauses.length === 0) return null
  return (
    <Stack gap="xs">
      <UnstyledButton onClick={toggle} aria-expanded={opened} className={classes.why}>
        <Group gap={6}>
          <Text size="sm" fw={500}>
            Why
          </Text>
          <IconChevronDown size={15} aria-hidden data-opened={opened || undefined} />
        </Group>
      </UnstyledButton>
      <Collapse expanded={opened}>
        <ul className={classes.clauses}>
          {x.clauses.map((clause) => {
            const { name, why } = clauseText(clause)
            return (
              <li key={`${name} ${why}`} data-decided={clause.outcome === 'decided' || undefined}>
                <strong>{name}</strong>: {why}
                {clause.when && <code>{clause.when}</code>}
              </li>
            )
          })}
        </ul>
      </Collapse>
    </Stack>
  )
}
