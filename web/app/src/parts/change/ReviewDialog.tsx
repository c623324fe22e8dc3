import { Alert, Anchor, Button, Group, Modal, Stack, Textarea, Title } from '@mantine/core'
import { IconAlertTriangle, IconClockPause, IconInfoCircle, IconUsersGroup } from '@tabler/icons-react'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import { newKey } from '../../api/client'
import { apply, type Change, type Plan, planQuery } from '../../api/governance'
import { codeOf, sentence } from '../../api/problem'
import { paths } from '../../paths'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { notify } from '../../ui/notices'
import { Failed, Loading } from '../../ui/states'
import { useAttempt } from '../../ui/useAttempt'
import { usePeople } from '../governance/names'
import { approversOf, people } from '../governance/words'
import { applied } from './appliedWords'
import { ChangeList } from './ChangeList'
import { FaultList } from './FaultList'
import { Shifts } from './Shifts'

interface Props {
  opened: boolean
  close: () => void
  change: Change
  title: string
  /** It counts now, or waits for others. */
  done: () => void
}

/** The last look at a change: what is different, who gains and loses, who must agree, and why it is made. */
export function ReviewDialog(props: Props) {
  return (
    <Modal opened={props.opened} onClose={props.close} title={props.title} size={760} centered={false}>
      {props.opened && <Review {...props} />}
    </Modal>
  )
}

function Review({ close, change, done }: Props) {
  const plan = useQuery(planQuery(change))
  const cache = useQueryClient()
  const { nameOf } = usePeople()
  const me = useMe()
  const [note, setNote] = useState('')
  const { busy, error, attempt } = useAttempt()
  const [waits, setWaits] = useState<string>()
  const intent = useRef({ of: '', key: '' })
  const first = useRef<number>(undefined)

  if (waits) return <Waiting amendment={waits} close={close} />
  if (plan.isError) return <Failed error={plan.error} again={() => void plan.refetch()} />
  if (!plan.data) return <Loading what="Asking what it would do" />
  const planned = plan.data
  first.current ??= planned.version
  const names = { ...planned.names }
  const who = (id: string) => names[id] || nameOf(id)
  const wrong = planned.faults.filter((f) => !f.warning)
  const blocked = whyNotApply(planned, wrong.length, whyNot(me, 'governance.manage', 'change the governance'))

  const submit = async () => {
    const of = JSON.stringify([change, planned.version, note])
    if (intent.current.of !== of) intent.current = { of, key: newKey() }
    await attempt(async () => {
      try {
        const now = await apply(change, planned.version, note.trim(), intent.current.key)
        await cache.invalidateQueries({ queryKey: ['governance'] })
        done()
        if (now.amendment) {
          setWaits(now.amendment)
          return
        }
        notify({ message: applied(planned.changes, now.version ?? planned.version, switchedOff(change)) })
        close()
      } catch (caught) {
        if (codeOf(caught) === 'governance_moved') void plan.refetch()
        throw caught
      }
    })
  }
  return (
    <Stack gap={20}>
      {planned.version !== first.current && (
        <Alert color="blue" icon={<IconInfoCircle size={18} />} title="Somebody else changed the governance meanwhile">
          Your draft is as you left it. What you see is what it does on top of version {planned.version}; look again,
          then apply it.
        </Alert>
      )}
      <FaultList faults={planned.faults.filter((f) => !f.warning || concerns(change, f))} />
      <section aria-labelledby="review-changes">
        <Title order={3} id="review-changes" mb={8}>
          What is different
        </Title>
        <ChangeList changes={planned.changes} nameOf={who} order={4} />
      </section>
      {planned.changes.length > 0 && wrong.length === 0 && (
        <section aria-labelledby="review-people">
          <Title order={3} id="review-people" mb={8}>
            Who gains and who loses
          </Title>
          <Shifts plan={planned} />
        </section>
      )}
      {planned.amendment && (
        <Alert color="indigo" icon={<IconUsersGroup size={18} />} title="Others must approve it">
          It counts once {people(planned.amendment.approvals)} of {approversOf(planned.amendment.from, who)} agreed.
          Until then nothing changes.
        </Alert>
      )}
      {planned.own_rights && !planned.amendment && (
        <Alert color="red" icon={<IconAlertTriangle size={18} />} title="You cannot apply this yourself">
          {sentence(new Error(planned.own_rights))} Somebody else must make this change.
        </Alert>
      )}
      <Textarea
        label="Note"
        description="Why you change it. It stays in the history."
        maxLength={2000}
        autosize
        minRows={2}
        maxRows={6}
        value={note}
        onChange={(event) => setNote(event.currentTarget.value)}
      />
      {error !== undefined && (
        <Alert color="red" role="alert" icon={<IconAlertTriangle size={18} />} title="It was not applied">
          {codeOf(error) === 'governance_moved'
            ? 'Somebody else changed the governance a moment before you. Nothing was done and your draft is still here: above is what it does now. Look again, then apply it.'
            : sentence(error)}
        </Alert>
      )}
      <Group justify="flex-end">
        <Button variant="default" onClick={close}>
          Back to the draft
        </Button>
        <ActionButton blocked={blocked} loading={busy} onClick={() => void submit()}>
          {planned.amendment ? 'Propose it' : 'Apply'}
        </ActionButton>
      </Group>
    </Stack>
  )
}

/** switchedOff are the rules of a change that say they are. */
const switchedOff = (change: Change) =>
  new Set(change.set.filter((o) => o.kind === 'Rule' && o.spec.disabled === true).map((o) => o.name))

/** concerns reports whether a warning is about what is changed. */
const concerns = (change: Change, f: Plan['faults'][number]) =>
  change.set.some((o) => o.kind === f.kind && o.name === f.name)

function whyNotApply(plan: Plan, wrong: number, forbidden: string | undefined): string | undefined {
  if (forbidden) return forbidden
  if (wrong > 0) return 'Something in it must be mended first; it says above what.'
  if (plan.changes.length === 0) return 'Nothing is different.'
  if (plan.own_rights && !plan.amendment) return 'It would give you a permission; somebody else must apply it.'
  return undefined
}

function Waiting({ amendment, close }: { amendment: string; close: () => void }) {
  return (
    <Stack gap={20}>
      <Alert color="indigo" icon={<IconClockPause size={18} />} title="It waits for approval">
        Nothing has changed yet. Others see it under Changes, and it counts as soon as enough of them agreed.
      </Alert>
      <Group justify="flex-end">
        <Anchor component={Link} to={paths.change(amendment)}>
          See the proposal
        </Anchor>
        <Button onClick={close}>Close</Button>
      </Group>
    </Stack>
  )
}
