import { Button, Code, Group, Stack, Text, Title } from '@mantine/core'
import { IconDownload } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { checkpointAddress, checkpointQuery, logKeysQuery } from '../../api/proof'
import type { Signer } from '../../parts/proof/note'
import { CodeBlock } from '../../ui/CodeBlock'
import { CopyButton } from '../../ui/CopyButton'
import { Failed, Loading } from '../../ui/states'
import { When } from '../../ui/When'
import classes from './EventPanel.module.css'

/** The newest checkpoint: how far the log is signed, by whom, and how to check it without this page. */
export function SignedLog() {
  const checkpoint = useQuery(checkpointQuery)
  const keys = useQuery(logKeysQuery)
  if (checkpoint.isPending) return <Loading what="Loading the checkpoint" />
  if (checkpoint.error) return <Failed error={checkpoint.error} again={() => void checkpoint.refetch()} />
  const { origin, size, root, signers } = checkpoint.data
  const witnesses = signers.filter(({ at }) => at)
  return (
    <Stack gap={20}>
      <div>
        <Text size="lg" component="p">
          All {size.toLocaleString('en')} commits of the log stand in one signed tree.
        </Text>
        <Text size="sm" c="dimmed">
          If one of them is changed, removed or put elsewhere, the root below is another, and every copy of this
          checkpoint says so.
        </Text>
      </div>
      <dl className={classes.fields}>
        <dt>Log</dt>
        <dd className={classes.id}>{origin}</dd>
        <dt>Root</dt>
        <dd>
          <Group gap={4} wrap="nowrap">
            <span className={classes.id}>{root}</span>
            <CopyButton text={root} what="the root" />
          </Group>
        </dd>
        <dt>Seen by</dt>
        <dd>
          {witnesses.length === 0 ? 'No witness yet: only the log itself has signed it.' : <Seen by={witnesses} />}
        </dd>
      </dl>
      <Group>
        <Button
          component="a"
          variant="default"
          href={checkpointAddress}
          download="checkpoint"
          leftSection={<IconDownload size={16} aria-hidden />}
        >
          Download the checkpoint
        </Button>
      </Group>
      <Stack gap={8}>
        <Title order={3}>Check it yourself</Title>
        <Text size="sm">
          A page that this server sends cannot prove this server right. On your own machine, this reads the whole log,
          and remembers how far it came:
        </Text>
        <CodeBlock
          label="Command that verifies the log"
          action={<CopyButton text="sb audit verify" what="the command" />}
        >
          sb audit verify
        </CodeBlock>
        <Text size="sm">
          To whoever has no access, give the policy with the keys, on another way than the evidence that it is for:
        </Text>
        {keys.data ? (
          <CodeBlock label="Policy of keys" action={<CopyButton text={keys.data.policy} what="the policy" />}>
            {keys.data.policy}
          </CodeBlock>
        ) : (
          <Text size="sm" c="dimmed">
            {keys.error ? (
              <>
                The keys cannot be shown now. Ask <Code>sb audit keys</Code>.
              </>
            ) : (
              'Loading the keys…'
            )}
          </Text>
        )}
      </Stack>
    </Stack>
  )
}

function Seen({ by }: { by: Signer[] }) {
  return (
    <Stack gap={4} component="ul" m={0} p={0} style={{ listStyle: 'none' }}>
      {by.map(({ name, at }) => (
        <li key={name}>
          <span className={classes.id}>{name}</span>{' '}
          {at && (
            <Text span size="sm" c="dimmed">
              <When at={at.toISOString()} />
            </Text>
          )}
        </li>
      ))}
    </Stack>
  )
}
