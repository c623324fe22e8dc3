import { Alert, Badge, Button, Group, Paper, SimpleGrid, Stack, Text, Title } from '@mantine/core'
import { IconEqual } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useListing } from '../../api/listing'
import { type Coverage, coverageQuery, type Duplicate, duplicatesQuery } from '../../api/reports'
import { SecretName } from '../../parts/SecretName'
import { paths } from '../../paths'
import { useMe, whyNot } from '../../session/who'
import { Empty, Failed, Forbidden, Loading } from '../../ui/states'
import { When } from '../../ui/When'
import { CsvLink } from './CsvLink'
import classes from './DuplicatesReport.module.css'
import { many } from './secretWords'

/** Values that several secrets share, as far as they were compared. */
export function DuplicatesReport() {
  const unread = whyNot(useMe(), 'report.read', 'read reports')
  return unread ? <Forbidden reason={unread} /> : <Duplicates />
}

function Duplicates() {
  const list = useListing(duplicatesQuery)
  const coverage = useQuery(coverageQuery)
  return (
    <Stack gap="lg">
      <Group justify="space-between" align="flex-start">
        <Text size="sm" c="dimmed" maw={720}>
          Secrets that shared a value when they were last compared. Agents compare under a key of their own, so neither
          this page nor the server knows the values. A value that is too easy to guess is not compared.
        </Text>
        <CsvLink report="duplicates" />
      </Group>
      {coverage.data && <Covered connections={coverage.data} />}
      {coverage.error && <Failed error={coverage.error} again={() => void coverage.refetch()} />}
      {list.loading && <Loading what="Loading shared values" />}
      {list.error ? <Failed error={list.error} again={list.again} /> : null}
      {!list.loading && !list.error && list.rows.length === 0 && !list.more && (
        <Empty icon={IconEqual} title="No value is shared">
          {coverage.data?.length === 0
            ? 'Nothing was compared yet. Start fingerprints of a connection on the page of jobs.'
            : 'This counts for the connections above, as they were when they were compared.'}
        </Empty>
      )}
      {list.rows.map((duplicate) => (
        <Shared key={duplicate.group} duplicate={duplicate} />
      ))}
      {list.more && (
        <Button variant="default" onClick={list.loadMore} loading={list.loadingMore} w="fit-content">
          Show more
        </Button>
      )}
    </Stack>
  )
}

/** What was compared: an empty report means something for these alone, and between those of one key. */
function Covered({ connections }: { connections: Coverage[] }) {
  const keys = new Set(connections.map(({ key_id }) => key_id))
  return (
    <Stack gap="sm" component="section">
      <Title order={2}>What was compared</Title>
      {keys.size > 1 && (
        <Alert color="yellow" variant="light" title="Not all of these compare with each other">
          Their agents have different fingerprint keys. Only secrets of one key are compared.
        </Alert>
      )}
      {connections.length === 0 ? (
        <Text c="dimmed">Nothing yet.</Text>
      ) : (
        <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }} spacing="sm">
          {connections.map(({ connection, key_id, secrets, fingerprinted_at }) => (
            <Paper key={`${connection} ${key_id}`} withBorder p="sm" className={classes.card}>
              <Text fw={600}>{connection}</Text>
              <Text size="sm" c="dimmed">
                {many(secrets, 'secret')}, <When at={fingerprinted_at} />
              </Text>
              {keys.size > 1 && (
                <Text size="xs" c="dimmed" ff="monospace">
                  key {key_id.slice(0, 8)}
                </Text>
              )}
            </Paper>
          ))}
        </SimpleGrid>
      )}
    </Stack>
  )
}

function Shared({ duplicate }: { duplicate: Duplicate }) {
  const rest = duplicate.total - duplicate.secrets.length
  return (
    <Paper withBorder p="md" component="section" className={classes.card}>
      <Stack gap="sm">
        <Title order={3}>{many(duplicate.total, 'secret')} with one value</Title>
        <ul className={classes.list}>
          {duplicate.secrets.map((secret) => (
            <li key={secret.id} className={classes.item}>
              <Link to={paths.secret(secret.id)} className={classes.link}>
                <SecretName secret={secret.secret} />
              </Link>
              {secret.changed && (
                <Badge color="gray" title="A scan met another version since: it may have this value no more.">
                  changed since
                </Badge>
              )}
              <Text size="xs" c="dimmed">
                compared <When at={secret.fingerprinted_at} />
              </Text>
            </li>
          ))}
        </ul>
        {rest > 0 && (
          <Text size="sm" c="dimmed">
            And {many(rest, 'other')}.
          </Text>
        )}
      </Stack>
    </Paper>
  )
}
