import { Button, Group, Modal, Stack, Text } from '@mantine/core'
import { useBlocker } from '@tanstack/react-router'

/** Asks before something that was typed is lost, on the way to another page and out of the application. */
export function Leaving({ dirty }: { dirty: () => boolean }) {
  const blocker = useBlocker({ shouldBlockFn: dirty, enableBeforeUnload: dirty, withResolver: true })
  return (
    <Modal opened={blocker.status === 'blocked'} onClose={() => blocker.reset?.()} title="Leave this request?">
      <Stack>
        <Text>It was not sent. What you typed is kept nowhere and would be lost.</Text>
        <Group justify="flex-end">
          <Button variant="default" onClick={() => blocker.reset?.()} data-autofocus>
            Stay here
          </Button>
          <Button color="red" onClick={() => blocker.proceed?.()}>
            Leave and lose it
          </Button>
        </Group>
      </Stack>
    </Modal>
  )
}
