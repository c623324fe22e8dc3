import { List, Skeleton, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { sentence } from '../../api/problem'
import { type Explanation, explainQuery, type Secret } from '../../api/secrets'
import { Section } from '../../parts/Facts'
import { useMe } from '../../session/who'
import { span } from '../../ui/time'
import { many } from './secretWords'

/** What would become of one's own request for a secret, as the policy has it now. */
export function WhoDecides({ secret }: { secret: Secret }) {
  const me = useMe()
  if (!me.permissions.includes('request.create') || secret.status === 'gone') return null
  return (
    <Section title="If you asked for it">
      <Stack gap="sm">
        <Way secret={secret} operation="read" verb="Reading it" />
        <Way secret={secret} operation="patch" verb="Changing it" />
      </Stack>
    </Section>
  )
}

function Way({ secret, operation, verb }: { secret: Secret; operation: 'read' | 'patch'; verb: string }) {
  const way = useQuery(explainQuery(secret.id, operation))
  if (way.isPending) return <Skeleton height={20} aria-label="Asking the policy" />
  if (way.error) {
    return (
      <Text size="sm">
        {verb}: <Quiet>{sentence(way.error)}</Quiet>
      </Text>
    )
  }
  return (
    <div>
      <Text>
        <strong>{verb}</strong> {outcome(way.data)}
      </Text>
      {way.data.allowed && way.data.steps.length > 0 && (
        <List size="sm" mt={4}>
          {way.data.steps.map((step) => (
            <List.Item key={step.step}>
              {step.step}: {many(step.approvals, 'approval')}
              <Quiet>
                {' '}
                {step.people
                  ? `from ${new Intl.ListFormat('en', { type: 'disjunction' }).format(step.people.map(({ name }) => name || 'somebody who left'))}`
                  : step.voters === 1
                    ? 'from the one person who may decide'
                    : `from ${step.voters.toLocaleString('en')} people who may decide`}
                {step.stranded && '. There are too few of them now'}
              </Quiet>
            </List.Item>
          ))}
        </List>
      )}
      {way.data.allowed && way.data.usual_wait && (
        <Text size="sm" c="dimmed">
          Approval usually takes {span(way.data.usual_wait.seconds)}.
        </Text>
      )}
    </div>
  )
}

function Quiet({ children }: { children: React.ReactNode }) {
  return (
    <Text span inherit c="dimmed">
      {children}
    </Text>
  )
}

/** Refusals that say nothing of a rule. Others are told by the clause that decided. */
const refusals: Record<string, string> = {
  no_permission: 'is not allowed: none of your roles lets you ask for it here.',
  no_rule: 'is not allowed: no rule allows it, and what no rule allows is denied.',
}

/** outcome goes on from "Reading it". */
function outcome(way: Explanation): string {
  if (way.allowed) {
    const needed = way.steps.reduce((sum, step) => sum + step.approvals, 0)
    if (needed === 0) return 'needs no approval.'
    return `needs ${many(needed, 'approval')}${way.workflow ? `, by the workflow ${way.workflow}` : ''}.`
  }
  const refused = refusals[way.refusal ?? '']
  if (refused) return refused
  const why = way.clauses.find((clause) => clause.outcome === 'decided')
  return why
    ? `is not allowed: ${[why.name && `${why.about} ${why.name},`, why.why].filter(Boolean).join(' ')}.`
    : 'is not allowed.'
}
