import {
  Checkbox,
  Group,
  Modal,
  NativeSelect,
  PasswordInput,
  Radio,
  SimpleGrid,
  Stack,
  Switch,
  Text,
  TextInput,
} from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { newKey } from '../../api/client'
import { chooseNotices, type Notices } from '../../api/me'
import { forIntegrationsOnly, type NoticeKind, noticeWords } from '../../parts/noticeWords'
import { Problem } from '../../parts/Problem'
import { DialogButtons } from '../../ui/DialogButtons'
import { submits } from '../../ui/submits'
import { useAttempt } from '../../ui/useAttempt'
import { channelWords, digests, zoneHere } from './noticeChoice'

const channels = Object.keys(channelWords) as Notices['channel'][]
const kinds = (Object.keys(noticeWords) as NoticeKind[]).filter((kind) => !forIntegrationsOnly.includes(kind))

/** Says how one wants to be told, in place of what one said before. */
export function ChooseNotices({ now, close }: { now: Notices; close: () => void }) {
  const cache = useQueryClient()
  const [channel, setChannel] = useState(now.channel)
  const [url, setUrl] = useState('')
  const [wanted, setWanted] = useState(kinds.filter((kind) => !now.muted.includes(kind)))
  const [quiet, setQuiet] = useState(now.quiet !== undefined)
  const [hours, setHours] = useState(now.quiet ?? { from: '22:00', to: '07:00', zone: zoneHere() })
  const [digest, setDigest] = useState(String(now.digest_seconds))
  const { busy, error, attempt } = useAttempt()
  const key = useRef(newKey())
  const chat = channel === 'slack' || channel === 'teams'
  const kept = chat && channel === now.channel && now.host !== undefined // it has an address already
  const intervals = digests.some(({ value }) => value === digest)
    ? digests
    : [...digests, { value: digest, label: `As now: every ${digest} seconds` }]
  const submit = () =>
    attempt(async () => {
      await chooseNotices(
        {
          channel,
          ...(chat && url.trim() && { url: url.trim() }),
          muted: kinds.filter((kind) => !wanted.includes(kind)),
          ...(quiet && { quiet: hours }),
          digest_seconds: Number(digest),
        },
        key.current,
      )
      await cache.invalidateQueries({ queryKey: ['me', 'notices'] })
      close()
    })
  return (
    <Modal opened onClose={close} title="How you are told" size="lg">
      <form
        autoComplete="off"
        onChange={() => {
          key.current = newKey() // another intent
        }}
        onSubmit={submits(submit)}
      >
        <Stack>
          <Radio.Group label="Channel" value={channel} onChange={(to) => setChannel(to as Notices['channel'])}>
            <Stack gap={8} mt={8}>
              {channels.map((one) => (
                <Radio key={one} value={one} label={channelWords[one]} />
              ))}
            </Stack>
          </Radio.Group>
          {chat && (
            <PasswordInput
              label="Address of the webhook"
              description={
                kept
                  ? 'Leave it empty to keep the one from before. It is never shown again.'
                  : 'https only. It is sealed, and never shown again; only its host is.'
              }
              required={!kept}
              withAsterisk={false}
              autoComplete="off"
              data-1p-ignore
              maxLength={2048}
              value={url}
              onChange={(event) => setUrl(event.currentTarget.value)}
              visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the address' }}
            />
          )}
          {channel !== 'none' && (
            <>
              <Checkbox.Group label="You are told" value={wanted} onChange={(next) => setWanted(next as NoticeKind[])}>
                <SimpleGrid cols={{ base: 1, sm: 2 }} spacing={8} mt={8}>
                  {kinds.map((kind) => (
                    <Checkbox key={kind} value={kind} label={noticeWords[kind]} />
                  ))}
                </SimpleGrid>
              </Checkbox.Group>
              <NativeSelect
                label="Several at once"
                value={digest}
                onChange={(event) => setDigest(event.currentTarget.value)}
                data={intervals}
              />
              <Switch
                label="Quiet hours"
                description="What comes up then waits until they end, and comes as one message. What was done without approval, and reviews that are overdue, come at once all the same."
                checked={quiet}
                onChange={(event) => setQuiet(event.currentTarget.checked)}
              />
              {quiet && (
                <Group grow align="flex-start">
                  <TextInput
                    type="time"
                    label="From"
                    required
                    withAsterisk={false}
                    value={hours.from}
                    onChange={(event) => setHours({ ...hours, from: event.currentTarget.value })}
                  />
                  <TextInput
                    type="time"
                    label="To"
                    required
                    withAsterisk={false}
                    value={hours.to}
                    onChange={(event) => setHours({ ...hours, to: event.currentTarget.value })}
                  />
                  <TextInput
                    label="Time zone"
                    placeholder="Europe/Berlin"
                    required
                    withAsterisk={false}
                    maxLength={64}
                    value={hours.zone}
                    onChange={(event) => setHours({ ...hours, zone: event.currentTarget.value })}
                  />
                </Group>
              )}
            </>
          )}
          {channel === 'none' && (
            <Text size="sm" c="dimmed">
              The inbox still shows what waits for you.
            </Text>
          )}
          <Problem error={error} />
          <DialogButtons close={close} busy={busy}>
            Keep it so
          </DialogButtons>
        </Stack>
      </form>
    </Modal>
  )
}
