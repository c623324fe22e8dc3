import { Alert, Badge, Group, SimpleGrid, Stack, Text } from '@mantine/core'
import { IconEye, IconHistory, IconPencil } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams } from '@tanstack/react-router'
import { useState } from 'react'
import { type Secret, secretQuery } from '../../api/secrets'
import { Facts, Section } from '../../parts/Facts'
import { One } from '../../parts/One'
import { paths } from '../../paths'
import { leads } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { CopyButton } from '../../ui/CopyButton'
import { lazily } from '../../ui/lazily'
import { Page } from '../../ui/Page'
import { When } from '../../ui/When'
import { providerWords } from '../connections/providers'
import { whyNotAsk } from './asking'
import { KeyNames } from './KeyNames'
import { LabelChips } from './LabelChips'
import { labelText } from './labels'
import { RequestsOf } from './RequestsOf'
import { fromWords, rotation } from './secretWords'
import { WhoDecides } from './WhoDecides'

const AssignDialog = lazily(() => import('./AssignDialog'), 'AssignDialog')

/** One secret: everything that is known of it. Its values are not. */
export function SecretDetail() {
  const { id } = useParams({ strict: false }) as { id: string }
  const unseen = whyNot(useMe(), 'secret.list', 'see the inventory')
  const secret = useQuery({ ...secretQuery(id), enabled: !unseen })
  return (
    <One
      title="Secret"
      query={secret}
      unseen={unseen}
      missing={{ secret_unknown: 'There is no such secret' }}
      back={{ to: paths.inventory(), label: 'To the inventory' }}
    >
      {(found) => <Shown secret={found} />}
    </One>
  )
}

function Shown({ secret }: { secret: Secret }) {
  const me = useMe()
  const navigate = useNavigate()
  const [assigning, setAssigning] = useState(false)
  const blocked = whyNotAsk(me, secret)
  const { says, tone } = rotation(secret)
  const ask = (operation: 'read' | 'patch') =>
    void navigate(leads(paths.newRequest({ secret: secret.secret, operation })))
  return (
    <Page
      title={secret.ref}
      about={
        <>
          {providerWords[secret.provider].label}, connection {secret.connection}
        </>
      }
      actions={
        <>
          <ActionButton leftSection={<IconEye size={16} />} blocked={blocked} onClick={() => ask('read')}>
            Ask to read
          </ActionButton>
          <ActionButton
            variant="default"
            leftSection={<IconPencil size={16} />}
            blocked={blocked}
            onClick={() => ask('patch')}
          >
            Ask to change
          </ActionButton>
        </>
      }
    >
      {secret.status === 'gone' && (
        <Alert color="yellow" variant="light" title="This secret is gone">
          The last complete scan did not find it
          {secret.gone_at && (
            <>
              , <When at={secret.gone_at} />
            </>
          )}
          . What was known of it stays. A scan that finds it again brings it back.
        </Alert>
      )}
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg" style={{ alignItems: 'start' }}>
        <Stack gap="lg">
          <Section title="What is known">
            <Facts
              of={[
                [
                  'Name',
                  <Group key="name" gap={4} wrap="nowrap">
                    <Text span ff="monospace" size="sm" style={{ overflowWrap: 'anywhere' }}>
                      {secret.secret}
                    </Text>
                    <CopyButton text={secret.secret} what="the name" />
                  </Group>,
                ],
                [
                  'Last change',
                  tone === 'gray' ? (
                    says
                  ) : (
                    <Badge key="age" color={tone}>
                      {says}
                    </Badge>
                  ),
                ],
                ['Made in the store', secret.created_at && <When key="made" at={secret.created_at} />],
                ['Version', secret.version && <code key="version">{secret.version}</code>],
                ['First met by a scan', <When key="first" at={secret.first_seen_at} />],
                ['Last met by a scan', <When key="last" at={secret.last_seen_at} />],
                ['Cluster', secret.cluster],
                ['Values', 'Never come here. An approved request opens them once, to whoever asked.'],
              ]}
            />
          </Section>
          <Section title="Labels">
            {Object.keys(secret.labels).length === 0 ? (
              <Text c="dimmed">It has none in its store.</Text>
            ) : (
              <LabelChips
                labels={secret.labels}
                choose={(label) =>
                  void navigate({ to: paths.inventory(), search: { label: labelText(label) } as never })
                }
              />
            )}
          </Section>
          <KeyNames secret={secret} />
        </Stack>
        <Stack gap="lg">
          <Section
            title="Whose it is"
            action={
              <ActionButton
                variant="default"
                size="xs"
                blocked={whyNot(me, 'secret.assign', 'say whose secrets are')}
                onClick={() => setAssigning(true)}
              >
                Assign
              </ActionButton>
            }
          >
            <Facts
              of={[
                ['Owner', <Said key="owner" what={secret.owner} from={secret.owner_from} none="Nobody yet" />],
                [
                  'Assigned environment',
                  <Said key="environment" what={secret.environment} from={secret.environment_from} none="None yet" />,
                ],
              ]}
            />
          </Section>
          <WhoDecides secret={secret} />
          <RequestsOf secret={secret} />
          <Group>
            <ActionButton
              variant="default"
              size="xs"
              leftSection={<IconHistory size={15} />}
              blocked={whyNot(me, 'audit.read', 'read the audit')}
              onClick={() => void navigate(leads(paths.audit({ secret: secret.secret })))}
            >
              Its history in the audit
            </ActionButton>
          </Group>
        </Stack>
      </SimpleGrid>
      {assigning && <AssignDialog secret={secret} close={() => setAssigning(false)} />}
    </Page>
  )
}

function Said({ what, from, none }: { what: string | undefined; from: Secret['owner_from']; none: string }) {
  if (!what)
    return (
      <Text span inherit c="dimmed">
        {none}
      </Text>
    )
  return (
    <>
      {what}{' '}
      {from && (
        <Text span size="sm" c="dimmed">
          {fromWords[from]}
        </Text>
      )}
    </>
  )
}
