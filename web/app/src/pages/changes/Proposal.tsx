import { Alert, Anchor, Button, Group, Modal, Progress, Stack, Text, Timeline } from '@mantine/core'
import { IconCheck, IconInfoCircle, IconSend, IconX } from '@tabler/icons-react'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import { newKey } from '../../api/client'
import {
  type Amendment,
  amendmentQuery,
  approveAmendment,
  rejectAmendment,
  withdrawAmendment,
} from '../../api/governance'
import { sentence } from '../../api/problem'
import { ChangeList } from '../../parts/change/ChangeList'
import { same } from '../../parts/change/put'
import { usePeople } from '../../parts/governance/names'
import { approversOf } from '../../parts/governance/words'
import { nameOf } from '../../parts/requestWords'
import { paths } from '../../paths'
import { useMe } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { Card } from '../../ui/Card'
import { Page } from '../../ui/Page'
import { ReasonDialog } from '../../ui/ReasonDialog'
import { Failed, Loading } from '../../ui/states'
import { useAttempt } from '../../ui/useAttempt'
import { Countdown, When } from '../../ui/When'
import { amendmentWords, whyNotDecide, whyNotWithdraw } from './amendmentWords'
import { State, titleOf } from './Changes'
import classes from './Changes.module.css'

type Dialog = 'approve' | 'reject'

const dialogs: Record<Dialog, { title: string; about: string; label: string; confirm: string; danger: boolean }> = {
  approve: {
    title: 'Approve the change',
    about: 'With the last approval that it needs, it counts at once.',
    label: 'Comment',
    confirm: 'Approve',
    danger: false,
  },
  reject: {
    title: 'Reject the change',
    about: 'One no ends it. Who proposed it sees why.',
    label: 'Why',
    confirm: 'Reject',
    danger: true,
  },
}

/** A change that others must approve: what it does, who has agreed, and what one can do about it. */
export function Proposal({ id }: { id: string }) {
  const me = useMe()
  const cache = useQueryClient()
  const { nameOf: nameOfId } = usePeople()
  const query = useQuery(amendmentQuery(id))
  const [dialog, setDialog] = useState<Dialog>()
  const key = useRef('')
  if (!query.data) {
    return (
      <Page title="Proposal">
        {query.isError ? <Failed error={query.error} again={() => void query.refetch()} /> : <Loading />}
      </Page>
    )
  }
  const amendment = query.data
  const given = amendment.words.filter((word) => word.decision === 'approved').length
  const moved = amendment.state === 'stale' && !same(amendment.changes, amendment.changes_now)
  const open = (what: Dialog) => {
    key.current = newKey()
    setDialog(what)
  }
  const act = async (comment: string) => {
    if (dialog === 'approve') await approveAmendment(id, comment, key.current)
    else await rejectAmendment(id, comment, key.current)
    await cache.invalidateQueries({ queryKey: ['governance'] })
  }
  return (
    <Page
      title={titleOf(amendment)}
      about={
        <>
          <State state={amendment.state} /> proposed by {nameOf(amendment.by)}, <When at={amendment.proposed_at} />, on
          top of version {amendment.on}
        </>
      }
      actions={
        <>
          <Button component={Link} to={paths.changes()} variant="default">
            All changes
          </Button>
          {amendment.by.id === me.id && <TakeBack amendment={amendment} />}
          <ActionButton variant="default" blocked={whyNotDecide(me, amendment, false)} onClick={() => open('reject')}>
            Reject
          </ActionButton>
          <ActionButton blocked={whyNotDecide(me, amendment, true)} onClick={() => open('approve')}>
            Approve
          </ActionButton>
        </>
      }
    >
      {amendment.state !== 'open' && (
        <Alert color={amendmentWords[amendment.state].tone} icon={<IconInfoCircle size={18} />}>
          {amendmentWords[amendment.state].says}{' '}
          {amendment.version !== undefined && (
            <Anchor component={Link} to={paths.change(String(amendment.version))} inherit underline="always">
              Version {amendment.version}
            </Anchor>
          )}
        </Alert>
      )}
      <div className={classes.columns}>
        <Stack gap={16}>
          {amendment.note && <Text size="md">{amendment.note}</Text>}
          <ChangeList changes={amendment.changes ?? []} nameOf={nameOfId} order={3} />
          {moved && (
            <Card title="Against what counts now">
              <ChangeList changes={amendment.changes_now ?? []} nameOf={nameOfId} order={3} />
            </Card>
          )}
        </Stack>
        <Card title="Approvals">
          <Text size="md">
            {given} of {amendment.approvals} from {approversOf(amendment.from, nameOfId)}
          </Text>
          <Progress
            mt={8}
            mb={16}
            value={Math.min(100, (given / amendment.approvals) * 100)}
            aria-label={`${given} of ${amendment.approvals} approvals`}
          />
          <Timeline bulletSize={20} lineWidth={2}>
            <Timeline.Item bullet={<IconSend size={12} />}>
              <Text size="md">
                {nameOf(amendment.by)} proposed it <When at={amendment.proposed_at} c="dimmed" />
              </Text>
            </Timeline.Item>
            {amendment.words.map((word) => (
              <Timeline.Item
                key={`${word.person.id}/${word.at}`}
                bullet={word.decision === 'approved' ? <IconCheck size={12} /> : <IconX size={12} />}
              >
                <Text size="md">
                  {nameOf(word.person)} {word.decision === 'approved' ? 'approved' : 'rejected'} it{' '}
                  <When at={word.at} c="dimmed" />
                </Text>
                {word.comment && (
                  <Text size="md" c="dimmed">
                    {word.comment}
                  </Text>
                )}
              </Timeline.Item>
            ))}
          </Timeline>
          {(amendment.state === 'open' || amendment.state === 'stale') && (
            <Text size="md" c="dimmed" mt={12}>
              It ends in <Countdown until={amendment.until} />.
            </Text>
          )}
        </Card>
      </div>
      {dialog && (
        <ReasonDialog
          opened
          close={() => setDialog(undefined)}
          {...dialogs[dialog]}
          required={dialog === 'reject'}
          most={2000}
          act={act}
        />
      )}
    </Page>
  )
}

/** Ends one's own proposal, after a second question. */
function TakeBack({ amendment }: { amendment: Amendment }) {
  const me = useMe()
  const cache = useQueryClient()
  const [opened, setOpened] = useState(false)
  const { busy, error, attempt } = useAttempt()
  const key = useRef('')
  const act = async () => {
    await attempt(async () => {
      await withdrawAmendment(amendment.id, key.current)
      await cache.invalidateQueries({ queryKey: ['governance'] })
      setOpened(false)
    })
  }
  return (
    <>
      <ActionButton
        variant="default"
        blocked={whyNotWithdraw(me, amendment)}
        onClick={() => {
          key.current = newKey()
          setOpened(true)
        }}
      >
        Take it back
      </ActionButton>
      <Modal opened={opened} onClose={() => setOpened(false)} title="Take the proposal back">
        <Stack>
          <Text>Nothing will change. You can propose it again.</Text>
          {error !== undefined && <Alert color="red">{sentence(error)}</Alert>}
          <Group justify="flex-end">
            <Button variant="default" onClick={() => setOpened(false)}>
              Leave it
            </Button>
            <Button color="red" loading={busy} onClick={() => void act()}>
              Take it back
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  )
}
