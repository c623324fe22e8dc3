import { Alert, Anchor, Badge, Group, Stack, Text } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { useEffect, useRef, useState } from 'react'
import { agentQuery } from '../../api/agents'
import { newKey } from '../../api/client'
import { cancel, ended, followJob, type Job, jobQuery } from '../../api/jobs'
import { sentence } from '../../api/problem'
import { Facts, Section } from '../../parts/Facts'
import { One } from '../../parts/One'
import { paths } from '../../paths'
import { leads } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { CopyButton } from '../../ui/CopyButton'
import { Page } from '../../ui/Page'
import { ReasonDialog } from '../../ui/ReasonDialog'
import { Countdown, useNow, When } from '../../ui/When'
import { JobBadge } from './JobBadge'
import { JobProgress } from './JobProgress'
import { failureWords, queuedBy, stateWords, title, took, typeWords } from './jobWords'

/** One job, live until it has ended. */
export function JobDetail() {
  const { id } = useParams({ strict: false }) as { id: string }
  const job = useQuery(jobQuery(id))
  return (
    <One
      title="Job"
      query={job}
      missing={{ job_unknown: 'There is no such job' }}
      back={{ to: paths.jobs(), label: 'To the jobs' }}
    >
      {(found) => <Shown job={found} />}
    </One>
  )
}

function Shown({ job }: { job: Job }) {
  const me = useMe()
  const cache = useQueryClient()
  const navigate = useNavigate()
  const now = useNow()
  const [live, setLive] = useState(true)
  const [asking, setAsking] = useState(false)
  const key = useRef(newKey())
  const over = ended(job.state)
  useEffect(() => (over ? undefined : followJob(cache, job.id, setLive)), [cache, job.id, over])
  const unlisted = whyNot(me, 'secret.list', 'see the inventory')
  return (
    <Page
      title={title(job)}
      about={typeWords[job.type].says}
      wide={false}
      actions={
        over ? (
          job.type !== 'keys' && (
            <ActionButton
              blocked={unlisted}
              onClick={() => void navigate(leads(paths.inventory({ connection: job.connection })))}
            >
              See the secrets of {job.connection}
            </ActionButton>
          )
        ) : (
          <ActionButton
            variant="default"
            blocked={whyNot(me, 'job.manage', 'call jobs off')}
            onClick={() => setAsking(true)}
          >
            Call it off
          </ActionButton>
        )
      }
    >
      <Group gap="sm" role="status">
        <JobBadge state={job.state} />
        <Text>{stateWords[job.state].says}</Text>
        {!live && !over && <Badge color="yellow">Reconnecting: what you see may be old</Badge>}
      </Group>
      {job.failure && (
        <Alert color="red" variant="light" title="Why it failed">
          <Stack gap={4}>
            <Text>{sentence(new Error(job.failure.detail))}</Text>
            {failureWords[job.failure.code] && <Text>{failureWords[job.failure.code]}</Text>}
          </Stack>
        </Alert>
      )}
      {job.state === 'cancelled' && job.reason && (
        <Alert color="gray" variant="light" title="Why it was called off">
          {job.reason}
        </Alert>
      )}
      {job.waiting && !over && <Text c="dimmed">{sentence(new Error(job.waiting))}</Text>}
      {job.type !== 'keys' && <JobProgress job={job} />}
      <Section title="What is known">
        <Facts
          of={[
            [
              'Connection',
              <Anchor key="connection" component={Link} to={paths.connection(job.connection)} inherit>
                {job.connection}
              </Anchor>,
            ],
            [
              'Secret',
              job.secret && (
                <Anchor key="secret" component={Link} to={paths.secret(job.secret)} inherit>
                  {job.ref}
                </Anchor>
              ),
            ],
            ['Names found', job.keys],
            ['Started by', queuedBy(job)],
            ['Started', <When key="queued" at={job.queued_at} />],
            ['Taken by an agent', job.taken_at && <When key="taken" at={job.taken_at} />],
            [
              'Agent',
              job.agent && (
                <Text key="agent" span inherit>
                  <AgentName id={job.agent} /> of cluster {job.cluster}
                </Text>
              ),
            ],
            ['Attempt', job.attempt && job.attempt > 1 && `${job.attempt}: the one before fell silent`],
            ['Time taken', took(job, now)],
            ['Ended', job.ended_at && <When key="ended" at={job.ended_at} />],
            ['Lapses in', !over && <Countdown key="until" until={job.until} over="now" />],
            [
              'Id',
              <Group key="id" gap={4}>
                <Text span size="sm" ff="monospace">
                  {job.id}
                </Text>
                <CopyButton text={job.id} what="the id" />
              </Group>,
            ],
          ]}
        />
      </Section>
      {asking && (
        <ReasonDialog
          opened
          close={() => setAsking(false)}
          title="Call this job off"
          about="What it found until now stays. Nothing that it did not meet counts as gone."
          label="Reason, for the audit"
          most={2000}
          confirm="Call it off"
          danger
          act={async (reason) => {
            await cancel(job.id, reason, key.current)
            key.current = newKey()
            await cache.invalidateQueries({ queryKey: ['jobs'] })
          }}
        />
      )}
    </Page>
  )
}

/** Which agent did it: its name, for those who may see agents. */
function AgentName({ id }: { id: string }) {
  const may = useMe().permissions.includes('agent.list')
  const agent = useQuery({ ...agentQuery(id), enabled: may })
  if (!may) return 'An agent'
  return (
    <Anchor component={Link} to={paths.agent(id)} inherit>
      Agent {agent.data?.name ?? `${id.slice(0, 8)}…`}
    </Anchor>
  )
}
