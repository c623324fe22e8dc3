import { Button, Group, Modal, Stack, Text } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconDownload } from '@tabler/icons-react'
import { type AuditQuery, exportAddress } from '../../api/audit'

/** Downloads what the filters show. The browser does it by itself: nothing of it is held in memory here. */
export function ExportButton({ query }: { query: AuditQuery }) {
  const [opened, { open, close }] = useDisclosure()
  return (
    <>
      <Button variant="default" leftSection={<IconDownload size={16} aria-hidden />} onClick={open}>
        Export
      </Button>
      <Modal opened={opened} onClose={close} title="Export these facts">
        <Stack>
          <Text>
            You get every fact that the filters of this page match, also those that have not been scrolled to, as one
            file: the oldest first, one JSON object a line, a million lines at most.
          </Text>
          <Text>
            It holds ids, times, reasons and comments, but no value of a secret, and no names: the file may outlive
            somebody who is erased. That you took it is recorded too.
          </Text>
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
            <Button
              component="a"
              href={exportAddress(query)}
              download
              leftSection={<IconDownload size={16} aria-hidden />}
              onClick={close}
            >
              Download JSON Lines
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  )
}
