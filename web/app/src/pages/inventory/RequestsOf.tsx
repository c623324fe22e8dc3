import { Anchor, Group, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { sentence } from '../../api/problem'
import { requestsOfQuery, type Secret } from '../../api/secrets'
import { Section } from '../../parts/Facts'
import { asks, nameOf } from '../../parts/requestWords'
import { StateBadge } from '../../parts/StateBadge'
import { paths } from '../../paths'
import { useMe } from '../../session/who'
import { When } from '../../ui/When'

/** Who asked for a secret lately, as far as one may see it. */
export function RequestsOf({ secret }: { secret: Secret }) {
  const me = useMe()
  const may = me.permissions.includes('request.list')
  const requests = useQuery({ ...requestsOfQuery(secret.secret), enabled: may })
  if (!may) return null
  const all = me.permissions.includes('request.list.all')
  return (
    <Section title={all ? 'Who asked for it' : 'Requests for it that you may see'}>
      {requests.error && <Text size="sm">{sentence(requests.error)}</Text>}
      {requests.data?.length === 0 && <Text c="dimmed">Nobody yet.</Text>}
      <Stack gap="xs">
        {requests.data?.map((request) => (
          <Group key={request.id} gap="sm" justify="space-between" wrap="nowrap">
            <Text truncate>
              <Anchor component={Link} to={paths.request(request.id)} inherit>
                {nameOf(request.requester)} {asks(request)} it
              </Anchor>{' '}
              <Text span size="sm" c="dimmed">
                <When at={request.submitted_at} />
              </Text>
            </Text>
            <StateBadge request={request} />
          </Group>
        ))}
      </Stack>
    </Section>
  )
}
