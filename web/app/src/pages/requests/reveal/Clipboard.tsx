import { Button, Text } from '@mantine/core'
import { useEffect, useRef, useState } from 'react'
import { dismiss, notify } from '../../../ui/notices'

/** What is in the clipboard because of this dialog. */
export type Copied = 'no' | 'yes' | 'cleared' | 'refused'

const says: Record<Copied, string> = {
  no: 'A copy stays in your clipboard until something takes its place, and programs that keep its history keep it longer.',
  yes: 'It is in your clipboard, where every program can read it. Nothing takes it out by itself: paste it, then clear it.',
  cleared: 'Your clipboard is empty now. A program that keeps its history may still have the value.',
  refused: 'The browser did not allow that. Nothing of the value was copied.',
}

/** How long the note stays that a copy is still there, in milliseconds. */
const stays = 180_000

const left = 'clipboard'

/** leave tells of a copy that outlives its dialog. It knows nothing of the value: all it can do is write an empty text. */
function leave() {
  notify({
    id: left,
    title: 'The value is still in your clipboard',
    message: <Clear />,
    autoClose: stays,
  })
}

function Clear() {
  const [refused, setRefused] = useState(false)
  const clear = () =>
    navigator.clipboard.writeText('').then(
      () => dismiss(left),
      () => setRefused(true),
    )
  return (
    <>
      {refused
        ? 'The browser did not allow that. Copy something else over it.'
        : 'Paste it where it belongs, then clear it.'}
      <Button size="xs" variant="default" mt={8} display="block" onClick={() => void clear()}>
        Clear clipboard
      </Button>
    </>
  )
}

/** useClipboardOf copies by a click, as browsers want it, and takes the copy away by another one. */
export function useClipboardOf() {
  const [copied, setCopied] = useState<Copied>('no')
  const last = useRef<Copied>('no')
  useEffect(() => {
    last.current = copied
    if (copied === 'yes') dismiss(left)
  }, [copied])
  useEffect(
    () => () => {
      if (last.current === 'yes') leave()
    },
    [],
  )
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
