import { Modal, Radio, Stack, Text, Textarea } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { sentence } from '../../../api/problem'
import { cancel, type Request, refuse, review } from '../../../api/requests'
import { RequestSentence } from '../../../parts/RequestSentence'
import { nameOf } from '../../../parts/requestWords'
import { withStepUp } from '../../../session/stepUp'
import { DialogButtons } from '../../../ui/DialogButtons'
import { ReasonDialog } from '../../../ui/ReasonDialog'
import { useAttempt } from '../../../ui/useAttempt'
import { useIntent } from './useIntent'
import { useVerdicts } from './useVerdicts'

export type Asking = 'deny' | 'comment' | 'cancel' | 'refuse' | 'review'

/** How much people may say to a request, in characters. */
const most = 2000

/** How little is enough where a word is asked for, in characters. */
const least = 10

interface Props {
  request: Request
  asking: Asking | undefined
  close: () => void
}

/** The questions that come before something is done with a request. */
export function Dialogs({ request, asking, close }: Props) {
  const give = useVerdicts()
  const cache = useQueryClient()
  const keyOf = useIntent()
  const about = <RequestSentence request={request} />
  const done = () => cache.invalidateQueries({ queryKey: ['requests'] })
  return (
    <>
      <ReasonDialog
        opened={asking === 'deny'}
        close={close}
        title="Deny this request"
        about={about}
        label="Why not? Everybody who sees the request can read it."
        required
        most={most}
        confirm="Deny"
        danger
        act={async (reason) => give([request], 'reject', reason)}
      />
      <ReasonDialog
        opened={asking === 'comment'}
        close={close}
        title="Approve with a comment"
        about={about}
        label="Comment, for everybody who sees the request"
        required
        most={most}
        confirm="Approve"
        act={async (comment) => give([request], 'approve', comment)}
      />
      <ReasonDialog
        opened={asking === 'cancel'}
        close={close}
        title="Take this request back"
        about={about}
        label="Comment (optional)"
        most={most}
        confirm="Take it back"
        danger
        act={async (comment) => {
          await withStepUp(() => cancel(request.id, comment, { key: keyOf(`cancel ${comment}`) }))
          await done()
        }}
      />
      <ReasonDialog
        opened={asking === 'refuse'}
        close={close}
        title="Refuse to fill in the values"
        about={about}
        label={`Why? In ${least} characters at least`}
        required
        most={most}
        confirm="Refuse"
        danger
        act={async (comment) => {
          await withStepUp(() => refuse(request.id, comment, { key: keyOf(`refuse ${comment}`) }))
          await done()
        }}
      />
      <Modal opened={asking === 'review'} onClose={close} title="Review what went without approval">
        <ReviewForm request={request} close={close} />
      </Modal>
    </>
  )
}

function ReviewForm({ request, close }: { request: Request; close: () => void }) {
  const cache = useQueryClient()
  const keyOf = useIntent()
  const [outcome, setOutcome] = useState('')
  const [comment, setComment] = useState('')
  const { busy, error, attempt } = useAttempt()
  const said = comment.trim()
  const ready = (outcome === 'justified' || outcome === 'unjustified') && said.length >= least
  const submit = async () => {
    if (outcome !== 'justified' && outcome !== 'unjustified') return
    await attempt(async () => {
      await withStepUp(() => review(request.id, { outcome, comment: said }, { key: keyOf(`${outcome} ${said}`) }))
      await cache.invalidateQueries({ queryKey: ['requests'] })
      close()
    })
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (ready) void submit()
      }}
    >
      <Stack>
        <Text>
          {nameOf(request.requester)} went ahead because: “{request.glass?.reason}”
        </Text>
        <Radio.Group label="Was that justified?" value={outcome} onChange={setOutcome} required withAsterisk={false}>
          <Stack gap="xs" mt="xs">
            <Radio value="justified" label="Justified: it could not wait" data-autofocus />
            <Radio value="unjustified" label="Not justified: it should have waited for approval" />
          </Stack>
        </Radio.Group>
        <Textarea
          label="Why"
          description={`In ${least} characters at least. Everybody who sees the request can read it.`}
          required
          withAsterisk={false}
          maxLength={most}
          autosize
          minRows={2}
          maxRows={8}
          value={comment}
          onChange={(event) => setComment(event.currentTarget.value)}
          error={error === undefined ? undefined : sentence(error)}
        />
        <DialogButtons close={close} busy={busy} disabled={!ready}>
          Record the review
        </DialogButtons>
      </Stack>
    </form>
  )
}
