import { Button, Group, Stack, Text } from '@mantine/core'
import { IconCheck, IconCopy, IconEye, IconEyeOff } from '@tabler/icons-react'
import { type ReactNode, useState } from 'react'
import { CodeBlock } from './CodeBlock'

/** As many dots for every text: its length is nobody's business either. */
const masked = '•'.repeat(24)

interface Props {
  /** What it is, such as "link". */
  what: string
  text: string
  children?: ReactNode
}

/** A text that is shown this once: masked until somebody wants to see it, and copied without being seen. */
export function ShownOnce({ what, text, children }: Props) {
  const [seen, setSeen] = useState(false)
  const [copied, setCopied] = useState<boolean>()
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setCopied(true),
      () => setCopied(false),
    )
  return (
    <Stack gap="xs">
      <CodeBlock label={`The ${what}`}>{seen ? text : masked}</CodeBlock>
      <Group gap={8}>
        <Button
          size="xs"
          onClick={() => void copy()}
          leftSection={copied ? <IconCheck size={15} /> : <IconCopy size={15} />}
          data-autofocus
        >
          {copied ? 'Copied' : `Copy the ${what}`}
        </Button>
        <Button
          size="xs"
          variant="default"
          onClick={() => setSeen(!seen)}
          leftSection={seen ? <IconEyeOff size={15} /> : <IconEye size={15} />}
        >
          {seen ? 'Hide it' : 'Show it'}
        </Button>
      </Group>
      {copied === false && (
        <Text size="sm" role="alert">
          This browser does not let pages copy. Show it, and copy it by hand.
        </Text>
      )}
      {children}
    </Stack>
  )
}
