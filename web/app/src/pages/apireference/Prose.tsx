import { Code, Text } from '@mantine/core'

/** Plain paragraphs: an empty line is between two of them, and what is in backticks is code. */
export function Prose({ text }: { text: string }) {
  return text
    .trim()
    .split(/\n\s*\n/)
    .map((paragraph) => (
      <Text key={paragraph}>
        <Words text={paragraph.replaceAll('\n', ' ')} />
      </Text>
    ))
}

/** A line in which what is in backticks is code. */
export function Words({ text }: { text: string }) {
  return text.split('`').map((part, index) =>
    // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a text stay where they are
    index % 2 === 1 ? <Code key={index}>{part}</Code> : part,
  )
}
