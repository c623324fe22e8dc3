import { Button, Code, Group, Modal, Stack, Text } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconCertificate, IconDownload } from '@tabler/icons-react'
import { evidenceAddress } from '../../api/audit'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'

/** Takes along what proves a request to somebody who has no access. */
export function Evidence({ id }: { id: string }) {
  const blocked = whyNot(useMe(), 'audit.read', 'take evidence along')
  const [opened, { open, close }] = useDisclosure()
  return (
    <>
      <ActionButton
        variant="default"
        blocked={blocked}
        leftSection={<IconCertificate size={16} aria-hidden />}
        onClick={open}
      >
        Evidence
      </ActionButton>
      <Modal opened={opened} onClose={close} title="Evidence of this request">
        <Stack>
          <Text>
            You get one file with all that the log says of this request: the facts, the policy that counted, the votes,
            who the agent was and what it signed, versions at the provider and the rollout, each with a proof that it is
            in the log.
          </Text>
          <Text>
            Whoever has the keys of the log verifies it without access to this server. It holds ids, times, reasons and
            comments, but no value of a secret, and no names.
          </Text>
          <Code block tabIndex={0} role="region" aria-label="How to verify it">
            sb audit verify --evidence FILE --policy POLICY
          </Code>
          <Text size="sm" c="dimmed">
            That you took it is recorded too.
          </Text>
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
            <Button
              component="a"
              href={evidenceAddress(id)}
              download
              leftSection={<IconDownload size={16} aria-hidden />}
              onClick={close}
            >
              Download the evidence
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  )
}
