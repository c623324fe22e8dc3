import { Button, Text } from '@mantine/core'
import { useState } from 'react'

/** What is in the clipboard because of this dialog. */
export type Copied = 'no' | 'yes' | 'cleared' | 'refused'

const says: Record<Copied, string> = {
  no: 'A copy stays in your clipboard until something takes its place, and programs that keep its history keep it longer.',
  yes: 'It is in your clipboard, where every program can read it. Nothing takes it out by itself: paste it, then clear it.',
  cleared: 'Your clipboard is empty now. A program that keeps its history may still have the value.',
  refused: 'The browser did not allow that. Nothing of the value was copied.',
}

/** useClipboardOf copies by a click, as browsers want it, and takes the copy away by another one. */
export function useClipboardOf() {
  const [copied, setCopied] = useState<Copied>('no')
  return {
    copied,
    copy: (text: string) =>
      navigator.clipboard.writeText(text).then(
        () => setCopied('yes'),
        () => setCopied('refused'),
      ),
    clear: () =>
      navigator.clipboard.writeText('').then(
        () => setCopied('cleared'),
        () => undefined, // it is still there, and the text says so
      ),
  }
}

/** Says what became of a copy, and takes it away. */
export function ClipboardNote({ copied, clear }: { copied: Copied; clear: () => void }) {
  return (
    <div role="status">
      <Text size="sm" c="dimmed">
        {says[copied]}
      </Text>
      {copied === 'yes' && (
        <Button size="xs" variant="default" mt={8} onClick={clear}>
          Clear clipboard
        </Button>
      )}
    </div>
  )
}
