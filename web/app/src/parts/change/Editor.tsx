import {
  Alert,
  Anchor,
  Button,
  Drawer,
  Group,
  Paper,
  SegmentedControl,
  Stack,
  Text,
  TextInput,
  Title,
} from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { IconAlertTriangle, IconArrowLeft, IconCircleCheck, IconInfoCircle } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { lazy, type ReactNode, Suspense, useMemo, useRef, useState } from 'react'
import { type Change, type Governance, planQuery } from '../../api/governance'
import { sentence } from '../../api/problem'
import { paths } from '../../paths'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { Page } from '../../ui/Page'
import { Loading } from '../../ui/states'
import { find, kindWords } from '../governance/objects'
import { changed, type Draft } from './draft'
import { useDraft } from './drafts'
import { capital, EditingProvider } from './Editing'
import classes from './Editor.module.css'
import { FaultList } from './FaultList'
import { same } from './put'
import { ReviewDialog } from './ReviewDialog'

const SourceText = lazy(() => import('./SourceText'))

interface Props {
  begin: Draft
  governance: Governance
  /** Where the way back leads, in words. */
  back: string
  leave: () => void
  form: ReactNode
  /** What stands beside the form, from the draft as a change. */
  aside?: (change: Change, draft: Draft) => ReactNode
  /** What the draft says, in a sentence. */
  says?: (draft: Draft) => string
  /** Of an object that is one of its kind: it cannot be removed or named. */
  single?: boolean
  /** Beside a page that stays, instead of a page of its own. */
  drawer?: boolean
}

/**
 * The editor of one object: a form or its text, what the server says of it as one types, and the way
 * to review and apply it. Drafts stay while one looks at other pages.
 */
export function Editor({ begin, governance, back, leave, form, aside, says, single = false, drawer = false }: Props) {
  const [draft, act, drop] = useDraft(begin)
  const [view, setView] = useState<'form' | 'text'>('form')
  const [unread, setUnread] = useState<string>()
  const [review, setReview] = useState<{ title: string; change: Change }>()
  const finished = useRef(false)
  const me = useMe()
  const fresh = draft.base === undefined
  const { one } = kindWords[draft.kind]
  const theirs = find(governance, draft.kind, draft.name)
  const moved = draft.base !== undefined && theirs !== undefined && !same(theirs.spec, draft.base)
  const badName = fresh ? nameFault(draft, governance) : undefined

  const [settled] = useDebouncedValue(draft, 350)
  const change = useMemo<Change>(
    () => ({ set: [{ kind: settled.kind, name: settled.name, spec: settled.spec }], removed: [] }),
    [settled],
  )
  const worth = changed(draft) && !badName
  const plan = useQuery({ ...planQuery(change), enabled: worth && !unread })
  const checking = worth && (settled !== draft || plan.isFetching)
  const all = worth ? (plan.data?.faults ?? []) : []
  const faults = all.filter((f) => f.kind === draft.kind && f.name === draft.name)
  const elsewhere = all.filter((f) => !f.warning && !faults.includes(f))
  const malformed = worth && plan.error ? plain(sentence(plan.error)) : undefined
  const wrong = [...faults, ...elsewhere].filter((f) => !f.warning)
  const blocked =
    badName ??
    (unread && `The text cannot be read: ${unread}`) ??
    (changed(draft) ? undefined : 'Nothing is different from what counts now.') ??
    malformed ??
    (wrong.length > 0 ? 'Something must be mended first; it says where.' : undefined)
  const title = single ? capital(one) : fresh ? `New ${one}` : `${capital(one)} ${draft.name}`

  const actions = (
    <>
      {!single && !fresh && (
        <ActionButton
          variant="default"
          blocked={whyNot(me, 'governance.manage', 'change the governance')}
          onClick={() =>
            setReview({
              title: `Remove the ${one} ${draft.name}`,
              change: { set: [], removed: [{ kind: draft.kind, name: draft.name }] },
            })
          }
        >
          Remove
        </ActionButton>
      )}
      {changed(draft) && (
        <Button
          variant="default"
          onClick={() => {
            drop()
            setUnread(undefined)
            setView('form')
            if (fresh) leave()
          }}
        >
          Discard draft
        </Button>
      )}
      <ActionButton
        blocked={blocked}
        onClick={() =>
          setReview({
            title: 'Review change',
            change: { set: [{ kind: draft.kind, name: draft.name, spec: draft.spec }], removed: [] },
          })
        }
      >
        Review change
      </ActionButton>
    </>
  )
  const body = (
    <>
      {moved && (
        <Alert color="blue" icon={<IconInfoCircle size={18} />} title="Somebody else changed it while you edited">
          <Group justify="space-between">
            <Text size="md">
              Your draft is as you left it. Take over what they changed where you changed nothing, then look again.
            </Text>
            <Button size="xs" variant="default" onClick={() => act({ do: 'follow', theirs: theirs.spec })}>
              Take theirs over
            </Button>
          </Group>
        </Alert>
      )}
      <EditingProvider draft={draft} act={act} governance={governance} faults={faults}>
        <div className={classes.columns} data-stacked={drawer || undefined}>
          <Stack gap={16} className={classes.main}>
            <SegmentedControl
              className={classes.view}
              aria-label="How to edit"
              data={[
                { value: 'form', label: 'Form' },
                { value: 'text', label: 'Text' },
              ]}
              value={view}
              onChange={(next) => {
                setUnread(undefined)
                setView(next as 'form' | 'text')
              }}
            />
            {view === 'text' ? (
              <Suspense fallback={<Loading />}>
                <SourceText key={JSON.stringify(draft.base)} wrong={unread} setWrong={setUnread} />
              </Suspense>
            ) : (
              <>
                {fresh && !single && (
                  <TextInput
                    label="Name"
                    description="1 to 40 of a-z, 0-9 and “-”, beginning with a letter. It stays."
                    withAsterisk
                    value={draft.name}
                    error={draft.name ? badName : undefined}
                    maxLength={40}
                    onChange={(event) => act({ do: 'rename', name: event.currentTarget.value })}
                  />
                )}
                {form}
              </>
            )}
          </Stack>
          <Stack gap={16} className={classes.aside}>
            <Paper
              withBorder
              p={16}
              radius="md"
              bg="var(--sb-surface)"
              component="section"
              aria-labelledby="editor-checks"
            >
              <Title order={2} id="editor-checks" mb={8}>
                Checks
              </Title>
              <Stack gap={12}>
                {says && <Text size="md">{says(draft)}</Text>}
                <Standing
                  state={standing(worth, checking, wrong.length > 0 || malformed !== undefined, unread ?? badName)}
                />
                {malformed && (
                  <Alert
                    color="red"
                    role="status"
                    icon={<IconAlertTriangle size={18} />}
                    title="It cannot be taken like this"
                  >
                    {malformed}
                  </Alert>
                )}
                <FaultList faults={[...faults, ...elsewhere]} about={draft} />
                {!fresh && (
                  <Anchor component={Link} to={paths.changesOf(draft.kind, draft.name)} size="md">
                    Who changed it, and when
                  </Anchor>
                )}
              </Stack>
            </Paper>
            {aside?.(change, draft)}
          </Stack>
        </div>
      </EditingProvider>
      <ReviewDialog
        opened={review !== undefined}
        title={review?.title ?? 'Review change'}
        change={review?.change ?? { set: [], removed: [] }}
        close={() => {
          setReview(undefined)
          if (finished.current) leave()
        }}
        done={() => {
          drop()
          finished.current = true
        }}
      />
    </>
  )
  if (drawer) {
    return (
      <Drawer opened onClose={leave} title={title} position="right" size="xl">
        <Stack gap={20}>
          <Group gap={8}>{actions}</Group>
          {body}
        </Stack>
      </Drawer>
    )
  }
  return (
    <Page
      title={title}
      about={
        <Anchor component="button" type="button" onClick={leave} className={classes.back}>
          <IconArrowLeft size={15} aria-hidden /> {back}
        </Anchor>
      }
      actions={actions}
    >
      {body}
    </Page>
  )
}

function Standing({ state }: { state: { text: string; good?: boolean } }) {
  return (
    <Group gap={6} role="status" aria-live="polite">
      {state.good && <IconCircleCheck size={16} aria-hidden className={classes.good} />}
      <Text size="sm" c="dimmed">
        {state.text}
      </Text>
    </Group>
  )
}

function standing(worth: boolean, checking: boolean, wrong: boolean, hindered: string | undefined) {
  if (hindered) return { text: hindered }
  if (!worth) return { text: 'This is what counts now.' }
  if (checking) return { text: 'Checking…' }
  if (wrong) return { text: 'Not yet.' }
  return { text: 'The server has nothing against it.', good: true }
}

function nameFault(draft: Draft, governance: Governance): string | undefined {
  if (!draft.name) return 'Give it a name first.'
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(draft.name)) {
    return 'A name has 1 to 40 of a-z, 0-9 and “-”, and begins with a letter.'
  }
  if (find(governance, draft.kind, draft.name)) return `There is a ${kindWords[draft.kind].one} of that name already.`
  return undefined
}

/** plain leaves out where in the body of the call something is: there is one object. */
const plain = (text: string): string => capital(text.replace(/set\[0\]: \w+\/[a-z0-9-]+: /i, ''))
