import { Alert, Group, Stack, Text } from '@mantine/core'
import { IconHistory } from '@tabler/icons-react'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate, useParams } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import { newKey } from '../../api/client'
import {
  deliveriesQuery,
  disable,
  enable,
  type Integration,
  integrationQuery,
  remove,
  retry,
  tryOut,
} from '../../api/integrations'
import { sentence } from '../../api/problem'
import { Deliveries } from '../../parts/Deliveries'
import { Facts, Section } from '../../parts/Facts'
import { noticeWords } from '../../parts/noticeWords'
import { One } from '../../parts/One'
import { Problem } from '../../parts/Problem'
import { paths } from '../../paths'
import { leads } from '../../search'
import { withStepUp } from '../../session/stepUp'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { lazily } from '../../ui/lazily'
import { notify } from '../../ui/notices'
import { Page } from '../../ui/Page'
import { ReasonDialog } from '../../ui/ReasonDialog'
import { useAttempt } from '../../ui/useAttempt'
import { When } from '../../ui/When'
import { IntegrationBadge } from './IntegrationBadge'
import { kindWords, told } from './integrationWords'
import { Mappings } from './Mappings'
import { Secrets } from './Secrets'

const ChangeIntegration = lazily(() => import('./ChangeIntegration'), 'ChangeIntegration')

/** One integration: what it is told or what is looked at there, its secrets, and what was sent. */
export function IntegrationDetail() {
  const { name } = useParams({ strict: false }) as { name: string }
  const unseen = whyNot(useMe(), 'integration.list', 'see integrations')
  const integration = useQuery({ ...integrationQuery(name), enabled: !unseen })
  return (
    <One
      title="Integration"
      query={integration}
      unseen={unseen}
      missing={{ integration_unknown: 'There is no such integration' }}
      back={{ to: paths.integrations(), label: 'To the integrations' }}
    >
      {(found) => <Shown integration={found} />}
    </One>
  )
}

function Shown({ integration }: { integration: Integration }) {
  const me = useMe()
  const navigate = useNavigate()
  const [changing, setChanging] = useState(false)
  const blocked = whyNot(me, 'integration.manage', 'change integrations')
  const { name, kind } = integration
  return (
    <Page
      title={name}
      about={integration.description || kindWords[kind].about}
      wide={false}
      actions={<Actions integration={integration} blocked={blocked} />}
    >
      {integration.state === 'disabled' && (
        <Alert color="yellow" variant="light" title="This integration is disabled">
          {told(kind) ? 'It is told nothing.' : 'Nothing is looked at there.'}
          {integration.reason && ` “${integration.reason}”`}
        </Alert>
      )}
      <Section
        title="What is known"
        action={
          <ActionButton variant="default" size="xs" blocked={blocked} onClick={() => setChanging(true)}>
            Change
          </ActionButton>
        }
      >
        <Facts
          of={[
            ['State', <IntegrationBadge key="state" integration={integration} />],
            ['Kind', kindWords[kind].label],
            [told(kind) ? 'Host' : 'Address', integration.address],
            ['Cluster', integration.cluster],
            ['Certificate authorities', integration.ca && 'its own, and no others'],
            ['Namespace of applications', integration.namespace],
            [
              'Told',
              told(kind) &&
                (integration.notices.length === 0
                  ? 'everything'
                  : integration.notices.map((notice) => noticeWords[notice].toLowerCase()).join('; ')),
            ],
            [
              'Of projects',
              told(kind) && (integration.projects.length === 0 ? 'all' : integration.projects.join(', ')),
            ],
            ['Created', <When key="made" at={integration.created_at} />],
            ['Last changed', <When key="changed" at={integration.changed_at} />],
          ]}
        />
      </Section>
      {integration.secrets.length > 0 && <Secrets integration={integration} blocked={blocked} />}
      {told(kind) ? <Sent name={name} blocked={blocked} /> : <Mappings integration={integration} blocked={blocked} />}
      <Group>
        <ActionButton
          variant="default"
          size="xs"
          leftSection={<IconHistory size={15} />}
          blocked={whyNot(me, 'audit.read', 'read the audit')}
          onClick={() => void navigate(leads(paths.audit({ stream: `integration/${name}` })))}
        >
          Its changes in the audit
        </ActionButton>
      </Group>
      {changing && <ChangeIntegration integration={integration} close={() => setChanging(false)} />}
    </Page>
  )
}

function Sent({ name, blocked }: { name: string; blocked: string | undefined }) {
  const cache = useQueryClient()
  const { error, attempt } = useAttempt()
  const again = (id: string) =>
    attempt(async () => {
      await withStepUp(() => retry(name, id, newKey()))
      await cache.invalidateQueries({ queryKey: deliveriesQuery(name).queryKey })
    })
  return (
    <Section title="What was sent">
      <Problem error={error} />
      <Deliveries
        query={deliveriesQuery(name)}
        none="Nothing yet. Try it out: a test message shows whether it arrives."
        action={({ id, state }) =>
          state === 'dead' && (
            <ActionButton size="xs" variant="default" blocked={blocked} onClick={() => void again(id)}>
              Send it again
            </ActionButton>
          )
        }
      />
    </Section>
  )
}

type Ending = 'disable' | 'remove'

function Actions({ integration, blocked }: { integration: Integration; blocked: string | undefined }) {
  const cache = useQueryClient()
  const navigate = useNavigate()
  const [ending, setEnding] = useState<Ending>()
  const { busy, error, attempt } = useAttempt()
  const key = useRef(newKey())
  const { name, kind } = integration
  const active = integration.state === 'active'
  const changed = async () => {
    key.current = newKey()
    await cache.invalidateQueries({ queryKey: ['integrations'] })
  }
  const test = () =>
    attempt(async () => {
      const found = await withStepUp(() => tryOut(name, newKey()))
      await changed()
      notify({
        color: 'green',
        message:
          found.applications === undefined
            ? 'A test message is on its way. What became of it is under “What was sent”.'
            : `It answers: the token sees ${found.applications} ${found.applications === 1 ? 'application' : 'applications'}.`,
      })
    })
  return (
    <Stack gap={8} align="flex-end">
      <Group gap={8}>
        {kind !== 'flux' && kind !== 'kubernetes' && (
          <ActionButton
            blocked={blocked ?? (active ? undefined : 'It is disabled. Enable it first.')}
            loading={busy}
            onClick={() => void test()}
          >
            Try it out
          </ActionButton>
        )}
        {active ? (
          <ActionButton variant="default" blocked={blocked} onClick={() => setEnding('disable')}>
            Disable
          </ActionButton>
        ) : (
          <ActionButton
            variant="default"
            blocked={blocked}
            loading={busy}
            onClick={() =>
              void attempt(async () => {
                await withStepUp(() => enable(name, key.current))
                await changed()
              })
            }
          >
            Enable
          </ActionButton>
        )}
        <ActionButton variant="default" color="red" blocked={blocked} onClick={() => setEnding('remove')}>
          Remove
        </ActionButton>
      </Group>
      {error !== undefined && (
        <Text c="red" size="sm" role="alert">
          {sentence(error)}
        </Text>
      )}
      <ReasonDialog
        opened={ending !== undefined}
        close={() => setEnding(undefined)}
        title={ending === 'remove' ? `Remove ${name}` : `Disable ${name}`}
        about={
          ending === 'remove'
            ? 'Its secrets are destroyed, and its name is never used again. Its history stays.'
            : told(kind)
              ? 'It is told nothing until it is enabled again. What came up meanwhile is not told later.'
              : 'Nothing is looked at there until it is enabled again. What is watched ends as not verified.'
        }
        label="Reason, for the audit"
        most={2000}
        confirm={ending === 'remove' ? 'Remove' : 'Disable'}
        danger
        act={async (reason) => {
          if (ending === 'remove') {
            await withStepUp(() => remove(name, reason, key.current))
            await changed()
            void navigate(leads(paths.integrations()))
            return
          }
          await withStepUp(() => disable(name, reason, key.current))
          await changed()
        }}
      />
    </Stack>
  )
}
