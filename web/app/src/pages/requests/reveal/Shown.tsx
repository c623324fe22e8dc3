import { Button, Group, Progress, Stack, Text } from '@mantine/core'
import { IconCheck, IconCopy } from '@tabler/icons-react'
import { clock } from '../../../session/renewal'
import { span } from '../../../ui/time'
import { ClipboardNote, type useClipboardOf } from './Clipboard'
import { HoldButton } from './HoldButton'
import { type Held, stay } from './machine'
import type { Reveal } from './run'
import { copyText } from './shown'
import { Value } from './Value'

interface Props {
  state: Held
  reveal: Reveal
  clipboard: ReturnType<typeof useClipboardOf>
}

/** The value while it is here: out of sight until somebody looks, over the time that it has left. */
export function Shown({ state, reveal, clipboard }: Props) {
  const left = Math.max(0, Math.min(state.left, state.end - state.counted))
  const look = (is: 'hold' | 'release' | 'press') => () => reveal.send({ is, now: clock.now() })
  return (
    <>
      <Value state={state} />
      <Stack gap={6}>
        <Progress.Root size="sm" transitionDuration={250}>
          <Progress.Section value={(left / stay) * 100} aria-label="Time until it is gone" />
        </Progress.Root>
        <Text size="sm" c="dimmed">
          {state.holding ? 'The time stands still while you hold.' : `Gone in ${span(Math.ceil(left / 1000))}.`}
          {state.value.kind === 'binary' && ' It is no text, so it is shown and copied as base64.'}
        </Text>
      </Stack>
      <Group>
        <HoldButton
          showing={state.at === 'showing'}
          hold={look('hold')}
          release={look('release')}
          press={look('press')}
        />
        <Button
          variant="default"
          leftSection={
            clipboard.copied === 'yes' ? <IconCheck size={16} aria-hidden /> : <IconCopy size={16} aria-hidden />
          }
          onClick={() => void clipboard.copy(copyText(state.value))}
        >
          {clipboard.copied === 'yes' ? 'Copied' : 'Copy without showing'}
        </Button>
        <Button variant="subtle" color="red" ml="auto" onClick={() => reveal.send({ is: 'leave' })}>
          Destroy it now
        </Button>
      </Group>
      <Text size="sm" c="dimmed">
        Hold the button, or press it shortly to keep the value in sight.
      </Text>
      <ClipboardNote {...clipboard} />
    </>
  )
}
