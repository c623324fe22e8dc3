import { Stack, Text } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { newKey } from '../../api/client'
import { myDeliveriesQuery, noticesQuery, testNotices } from '../../api/me'
import { Deliveries } from '../../parts/Deliveries'
import { Facts, Section } from '../../parts/Facts'
import { Problem } from '../../parts/Problem'
import { ActionButton } from '../../ui/ActionButton'
import { lazily } from '../../ui/lazily'
import { Failed, Loading } from '../../ui/states'
import { useAttempt } from '../../ui/useAttempt'
import { channelWords, digestWords, mutedWords, quietWords } from './noticeChoice'

const ChooseNotices = lazily(() => import('./ChooseNotices'), 'ChooseNotices')

/** How somebody is told what happens, and what was sent to them. */
export function Notices() {
  const cache = useQueryClient()
  const choice = useQuery(noticesQuery)
  const [choosing, setChoosing] = useState(false)
  const { busy, error, attempt } = useAttempt()
  const test = () =>
    attempt(async () => {
      await testNotices(newKey())
      await cache.invalidateQueries({ queryKey: myDeliveriesQuery.queryKey })
    })
  const found = choice.data
  return (
    <>
      <Section
        title="How you are told"
        action={
          found && (
            <>
              <ActionButton
                size="xs"
                variant="default"
                loading={busy}
                blocked={found.channel === 'none' ? 'You are told nothing.' : undefined}
                onClick={() => void test()}
              >
                Try it out
              </ActionButton>
              <ActionButton size="xs" variant="default" onClick={() => setChoosing(true)}>
                Change
              </ActionButton>
            </>
          )
        }
      >
        {choice.isPending && <Loading what="Loading how you are told" />}
        {choice.error && !found && <Failed error={choice.error} again={() => void choice.refetch()} />}
        <Problem error={error} />
        {found && (
          <Stack gap="sm">
            <Facts
              of={[
                ['Channel', `${channelWords[found.channel]}${found.host ? `, at ${found.host}` : ''}`],
                ['Not told', mutedWords(found.muted)],
                ['Quiet hours', quietWords(found.quiet)],
                ['Several at once', digestWords(found.digest_seconds)],
              ]}
            />
            {!found.usable && found.channel !== 'none' && (
              <Text>
                {found.channel === 'email'
                  ? 'This server sends no mail yet: an operator sets up SB_SMTP_HOST. Until then the inbox shows what waits for you.'
                  : 'There is no address yet, so nothing can be sent.'}
              </Text>
            )}
            <Text c="dimmed" size="sm">
              Messages say what it is about and lead here. They never hold a value, and nothing can be decided in them.
            </Text>
          </Stack>
        )}
      </Section>
      <Section title="What you were told">
        <Deliveries query={myDeliveriesQuery} none="Nothing in the last 30 days." />
      </Section>
      {choosing && found && <ChooseNotices now={found} close={() => setChoosing(false)} />}
    </>
  )
}
