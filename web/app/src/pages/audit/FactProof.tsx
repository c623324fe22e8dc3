import { Button, Group, Stack, Text } from '@mantine/core'
import { IconDownload } from '@tabler/icons-react'
import { commitAddress, proofAddress } from '../../api/proof'
import type { FactEvent } from '../../parts/factWords'
import { CodeBlock } from '../../ui/CodeBlock'
import { CopyButton } from '../../ui/CopyButton'

/** What somebody without access needs to see that a fact is in the log. */
export function FactProof({ event }: { event: FactEvent }) {
  const { seq } = event
  const command = `sb audit verify --proof commit-${seq}.tlog-proof --event commit-${seq}.json --policy FILE`
  return (
    <Stack>
      <Text>
        This fact is part of commit {seq.toLocaleString('en')}. The proof shows that the commit, byte for byte as it is
        stored, stands in the signed tree of the log. It is checked with both files and a policy of keys, and without
        access to this server.
      </Text>
      <Group>
        <Button
          component="a"
          variant="default"
          href={proofAddress(seq)}
          download={`commit-${seq}.tlog-proof`}
          leftSection={<IconDownload size={16} aria-hidden />}
        >
          Proof
        </Button>
        <Button
          component="a"
          variant="default"
          href={commitAddress(seq)}
          download={`commit-${seq}.json`}
          leftSection={<IconDownload size={16} aria-hidden />}
        >
          Stored bytes
        </Button>
      </Group>
      <CodeBlock label="Command that verifies the proof" action={<CopyButton text={command} what="the command" />}>
        {command}
      </CodeBlock>
    </Stack>
  )
}
