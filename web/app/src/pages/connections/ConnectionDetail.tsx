import { Alert, Anchor, Group, SimpleGrid, Stack, Text } from '@mantine/core'
import { IconHistory } from '@tabler/icons-react'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import { newKey } from '../../api/client'
import { type Connection, connectionQuery, disable, enable } from '../../api/connections'
import { countQuery } from '../../api/secrets'
import { Facts, Section } from '../../parts/Facts'
import { One } from '../../parts/One'
import { Problem } from '../../parts/Problem'
import { paths } from '../../paths'
import { leads } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { CodeBlock } from '../../ui/CodeBlock'
import { CopyButton } from '../../ui/CopyButton'
import { lazily } from '../../ui/lazily'
import { Page } from '../../ui/Page'
import { ReasonDialog } from '../../ui/ReasonDialog'
import { useAttempt } from '../../ui/useAttempt'
import { When } from '../../ui/When'
import { counted } from '../inventory/secretWords'
import { ScanButton } from '../jobs/ScanButton'
import { ClusterAgents } from './ClusterAgents'
import { ConnectionBadge } from './ConnectionBadge'
import { LatestJobs } from './LatestJobs'
import { providerWords } from './providers'
import { scheduleWords } from './scheduleWords'

const ScheduleDialog = lazily(() => import('./ScheduleDialog'), 'ScheduleDialog')

/** One connection: whether it is used, who serves it, what it holds. */
export function ConnectionDetail() {
  const { name } = useParams({ strict: false }) as { name: string }
  const unseen = whyNot(useMe(), 'connection.list', 'see connections')
  const connection = useQuery({ ...connectionQuery(name), enabled: !unseen })
  return (
    <One
      title="Connection"
      query={connection}
      unseen={unseen}
      missing={{ connection_unknown: 'There is no such connection' }}
      back={{ to: paths.connections(), label: 'To the connections' }}
    >
      {(found) => <Shown connection={found} />}
    </One>
  )
}

function Shown({ connection }: { connection: Connection }) {
  const me = useMe()
  const cache = useQueryClient()
  const navigate = useNavigate()
  const [asking, setAsking] = useState(false)
  const [scheduling, setScheduling] = useState(false)
  const { busy, error, attempt } = useAttempt()
  const key = useRef(newKey())
  const active = connection.state === 'active'
  const blocked = whyNot(me, 'connection.manage', 'change connections')
  const words = providerWords[connection.provider]
  const again = async () => {
    key.current = newKey()
    await cache.invalidateQueries({ queryKey: ['connections'] })
  }
  const takeUp = async () => {
    await attempt(async () => {
      await enable(connection.name, key.current)
      await again()
    })
  }
  return (
    <Page
      title={connection.name}
      about={connection.description || words.label}
      actions={
        <>
          <ScanButton
            connection={connection.name}
            blocked={active ? undefined : 'The connection is disabled, so it takes no scans.'}
          />
          {active ? (
            <ActionButton variant="default" blocked={blocked} onClick={() => setAsking(true)}>
              Disable
            </ActionButton>
          ) : (
            <ActionButton variant="default" blocked={blocked} loading={busy} onClick={() => void takeUp()}>
              Enable
            </ActionButton>
          )}
        </>
      }
    >
      {!active && (
        <Alert color="yellow" variant="light" title="This connection is disabled">
          It takes no new requests and no scans. Requests that were submitted before go on.
        </Alert>
      )}
      <Problem error={error} />
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg" style={{ alignItems: 'start' }}>
        <Stack gap="lg">
          <Section
            title="What is known"
            action={
              <ActionButton variant="default" size="xs" blocked={blocked} onClick={() => setScheduling(true)}>
                Schedule scans
              </ActionButton>
            }
          >
            <Facts
              of={[
                ['State', <ConnectionBadge key="state" state={connection.state} />],
                ['Kind of store', words.label],
                ['Cluster', connection.cluster],
                ['Secrets', <Secrets key="secrets" connection={connection.name} />],
                ['Scans', scheduleWords(connection.discover_every_seconds)],
                ['Created', <When key="made" at={connection.created_at} />],
                [
                  'Last changed',
                  connection.changed_at !== connection.created_at && <When key="changed" at={connection.changed_at} />,
                ],
              ]}
            />
          </Section>
          <ClusterAgents cluster={connection.cluster} />
          <LatestJobs connection={connection.name} />
          <Group>
            <ActionButton
              variant="default"
              size="xs"
              leftSection={<IconHistory size={15} />}
              blocked={whyNot(me, 'audit.read', 'read the audit')}
              onClick={() => void navigate(leads(paths.audit({ stream: `connection/${connection.name}` })))}
            >
              Its changes in the audit
            </ActionButton>
          </Group>
        </Stack>
        <Section title="What its agents need">
          <Text>{words.needs}</Text>
          <Text size="sm" c="dimmed">
            Every agent of cluster {connection.cluster} needs it in its configuration, under this name. It never comes
            here.
          </Text>
          <Sample name={connection.name} sample={words.sample} />
        </Section>
      </SimpleGrid>
      {asking && (
        <ReasonDialog
          opened
          close={() => setAsking(false)}
          title={`Disable ${connection.name}`}
          about="New requests and scans are refused. Requests that were submitted before go on."
          label="Reason, for the audit"
          most={2000}
          confirm="Disable"
          danger
          act={async (reason) => {
            await disable(connection.name, reason, key.current)
            await again()
          }}
        />
      )}
      {scheduling && <ScheduleDialog connection={connection} close={() => setScheduling(false)} />}
    </Page>
  )
}

function Secrets({ connection }: { connection: string }) {
  const may = useMe().permissions.includes('secret.list')
  const count = useQuery({ ...countQuery({ connection }), enabled: may })
  if (!may) return 'You may not see the inventory.'
  if (!count.data) return '–'
  return (
    <Anchor component={Link} to={paths.inventory()} search={{ connection } as never} inherit>
      {counted(count.data)}
    </Anchor>
  )
}

function Sample({ name, sample }: { name: string; sample: string }) {
  const text = `connections:\n  ${name}:\n${sample.replace(/^/gm, '    ')}`
  return (
    <CodeBlock label="Sample for agent.yaml" action={<CopyButton text={text} what="the sample" />}>
      {text}
    </CodeBlock>
  )
}
