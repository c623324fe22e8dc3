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
            file with one JSON object a line.
          </Text>
          <Text>
            It holds ids, times, reasons and comments, and the names of those who acted and are still there. No fact has
            a value in it.
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
