import { Text } from '@mantine/core'
import { lazy, Suspense, useEffect, useState } from 'react'
import type { Action, Request } from '../../../api/requests'
import { useMe } from '../../../session/who'
import { useKeys, useMuted } from '../../../shell/keys'
import { ActionButton } from '../../../ui/ActionButton'
import { KeyHint } from '../../../ui/KeyHint'
import { prepare } from '../../../ui/notices'
import type { Asking } from './Dialogs'
import classes from './Review.module.css'
import { useVerdicts } from './useVerdicts'
import { undo, undoLast, useOnItsWay } from './verdicts'

const loadDialogs = () => import('./Dialogs')
const Dialogs = lazy(() => loadDialogs().then((part) => ({ default: part.Dialogs })))
const ProvideDialog = lazy(() => import('../provide/ProvideDialog').then((part) => ({ default: part.ProvideDialog })))

/** why is the reason why something cannot be done, as a sentence. */
export function why(action: Action): string | undefined {
  if (action.allowed) return undefined
  const reason = action.reason ?? 'this cannot be done now'
  return `${reason.charAt(0).toUpperCase()}${reason.slice(1)}${/[.!?]$/.test(reason) ? '' : '.'}`
}

/** What can be done with a request now. What cannot be, and could be expected, says why. */
export function ActionBar({ request }: { request: Request }) {
  const me = useMe()
  const give = useVerdicts()
  const given = useOnItsWay(request.id)
  const [asking, setAsking] = useState<Asking>()
  const [asked, setAsked] = useState(false)
  if (asking && !asked) setAsked(true)
  useEffect(() => {
    // So that a key does not wait for them, and that they are there when the line breaks.
    const soon = setTimeout(() => {
      loadDialogs().catch(() => undefined)
      prepare()
    }, 1_000)
    return () => clearTimeout(soon)
  }, [])
  const [providing, setProviding] = useState(false)
  const { actions, state } = request
  const pending = state === 'pending' && !given
  const approve = () => actions.approve.allowed && pending && give([request], 'approve')
  useKeys('This request', [
    { keys: ['a'], does: 'Approve', run: approve },
    { keys: ['d'], does: 'Deny, with a reason', run: () => actions.reject.allowed && pending && setAsking('deny') },
    {
      keys: ['c'],
      does: 'Approve with a comment',
      run: () => actions.approve.allowed && pending && setAsking('comment'),
    },
    { keys: ['z'], does: 'Take back the last verdict', run: undoLast },
  ])
  useMuted(asking !== undefined || providing)
  const mine = request.requester.id === me.id
  const fills = state === 'awaiting_values' && (!mine || actions.provide.allowed)
  const reviews = request.glass && request.glass.review !== 'done'
  const cancels = mine && actions.cancel.allowed
  if (given) {
    return (
      <div className={classes.bar}>
        <Text role="status">
          {given.verdict.says === 'approve' ? 'Your approval' : 'Your denial'}{' '}
          {given.entry.phase === 'waiting' ? 'is about to be sent.' : 'is being sent.'}
        </Text>
        {given.entry.phase === 'waiting' && (
          <ActionButton size="sm" variant="default" onClick={() => undo(given.entry.id)}>
            Take it back
          </ActionButton>
        )}
      </div>
    )
  }
  const voted = request.votes.some((vote) => vote.approver.id === me.id)
  return (
    <>
      {(pending || fills || reviews || cancels) && (
        <div className={classes.bar}>
          {pending && !(mine && !actions.approve.allowed) && (
            <>
              <ActionButton
                blocked={why(actions.approve)}
                onClick={approve}
                aria-keyshortcuts="a"
                rightSection={actions.approve.allowed && <KeyHint of="A" plain />}
              >
                Approve
              </ActionButton>
              <ActionButton
                variant="default"
                blocked={why(actions.reject)}
                onClick={() => setAsking('deny')}
                aria-keyshortcuts="d"
                rightSection={actions.reject.allowed && <KeyHint of="D" plain />}
              >
                Deny…
              </ActionButton>
              {!voted && (
                <ActionButton
                  variant="subtle"
                  color="gray"
                  blocked={why(actions.approve)}
                  onClick={() => setAsking('comment')}
                  aria-keyshortcuts="c"
                  rightSection={actions.approve.allowed && <KeyHint of="C" plain />}
                >
                  Approve with a comment…
                </ActionButton>
              )}
            </>
          )}
          {pending && mine && !actions.approve.allowed && (
            <Text c="dimmed">Somebody else has to decide on what you asked for.</Text>
          )}
          {fills && (
            <>
              <ActionButton blocked={why(actions.provide)} onClick={() => setProviding(true)}>
                Fill in values…
              </ActionButton>
              <ActionButton variant="default" blocked={why(actions.refuse)} onClick={() => setAsking('refuse')}>
                Refuse…
              </ActionButton>
            </>
          )}
          {reviews && (
            <ActionButton blocked={why(actions.review)} onClick={() => setAsking('review')}>
              Review…
            </ActionButton>
          )}
          {cancels && (
            <>
              <span className={classes.spring} />
              <ActionButton variant="default" onClick={() => setAsking('cancel')}>
                Take it back…
              </ActionButton>
            </>
          )}
        </div>
      )}
      <Suspense>
        {asked && <Dialogs request={request} asking={asking} close={() => setAsking(undefined)} />}
        {providing && <ProvideDialog request={request} opened close={() => setProviding(false)} />}
      </Suspense>
    </>
  )
}
