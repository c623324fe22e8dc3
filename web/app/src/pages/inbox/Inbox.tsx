import { ActionIcon, Button, Group, Text, TextInput, Title } from '@mantine/core'
import { useMediaQuery } from '@mantine/hooks'
import { IconArrowLeft, IconSearch, IconUserPlus } from '@tabler/icons-react'
import { useInfiniteQuery } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { askedQuery, type Request, readyQuery, requestsIn } from '../../api/requests'
import { one, useFilters } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { useKeys } from '../../shell/keys'
import { ActionButton } from '../../ui/ActionButton'
import { KeyHint } from '../../ui/KeyHint'
import { Empty, Failed, Forbidden, Loading } from '../../ui/states'
import { Review } from '../requests/review/Review'
import { useVerdicts } from '../requests/review/useVerdicts'
import { useEntries } from '../requests/review/verdicts'
import { AllDone } from './AllDone'
import classes from './Inbox.module.css'
import { List } from './List'
import { afterwards, beside, kindOf, parts, whyNotTogether } from './triage'

/** What waits for whoever is signed in: a list to walk through, and beside it the request that one is at. */
export function Inbox() {
  const me = useMe()
  const reason = whyNot(me, 'request.list', 'see requests')
  useEffect(() => {
    document.title = 'Inbox · Secrets Bridge'
  }, [])
  if (reason) {
    return (
      <div className={classes.whole}>
        <Title order={1}>Inbox</Title>
        {me.grants.length === 0 ? <Welcome name={me.name} /> : <Forbidden reason={reason} />}
      </div>
    )
  }
  return <Triage />
}

/** The first page of somebody who was invited, until they have a role. */
function Welcome({ name }: { name: string }) {
  return (
    <Empty icon={IconUserPlus} title={`Welcome, ${name}`}>
      You have no role yet. Ask an administrator for one; this page goes on by itself.
    </Empty>
  )
}

/**
 * useChosen is the request that the address names. Keys come faster than addresses change: what they chose
 * counts at once, and what the address says from elsewhere counts when nothing of theirs is on its way.
 */
function useChosen(named: string): [string, (id: string) => void] {
  const [chosen, setChosen] = useState(named)
  const written = useRef<string>(undefined)
  useEffect(() => {
    if (written.current === undefined) setChosen(named)
    else if (written.current === named) written.current = undefined
  }, [named])
  const choose = (id: string) => {
    written.current = id === named ? undefined : id
    setChosen(id)
  }
  return [chosen, choose]
}

function Triage() {
  const asked = useInfiniteQuery(askedQuery)
  const ready = useInfiniteQuery(readyQuery)
  const entries = useEntries()
  const give = useVerdicts()
  const [search, change] = useFilters()
  const [text, setText] = useState(one(search, 'text'))
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set())
  const narrow = useMediaQuery('(max-width: 62em)', false, { getInitialValueInEffect: false })
  const filter = useRef<HTMLInputElement>(null)
  const frame = useRef(0) // that gives a row the focus
  const pane = useRef<HTMLElement>(null)
  const list = useRef<HTMLElement>(null)
  const last = useRef(0)

  const onItsWay = new Set(entries.flatMap((entry) => entry.verdicts.map((verdict) => verdict.request)))
  const all = [...requestsIn(asked.data), ...requestsIn(ready.data).filter((request) => request.actions.reveal.allowed)]
  const shownParts = parts(all, text, onItsWay)
  const shown = shownParts.flatMap((part) => part.requests)
  const [chosen, choose] = useChosen(one(search, 'request'))
  const at = chosen || (narrow ? '' : (shown[0]?.id ?? ''))
  const current = all.find((request) => request.id === at)
  const index = shown.findIndex((request) => request.id === at)
  if (index >= 0) last.current = index
  const selected = shown.filter((request) => picked.has(request.id))

  const focus = (id: string | undefined) => {
    const row = () => (id ? list.current?.querySelector<HTMLElement>(`[data-row="${id}"]`) : undefined)
    row()?.focus() // at once: the next key may be a command
    cancelAnimationFrame(frame.current)
    frame.current = requestAnimationFrame(() => (row() ?? pane.current?.querySelector<HTMLElement>('h2'))?.focus())
  }
  const goTo = (request: Request | undefined) => {
    if (request?.id !== at) {
      choose(request?.id ?? '')
      change({ request: request?.id }, { replace: !narrow || at !== '' })
    }
    focus(request?.id)
  }
  const step = (by: number) => shown.length > 0 && goTo(at ? beside(shown, at, by, last.current) : shown[0])
  const toggle = (id: string) => {
    const next = new Set(picked)
    if (!next.delete(id)) next.add(id)
    setPicked(next)
  }
  const together = whyNotTogether(selected)
  const approveSelected = () => {
    if (together) return
    const next = afterwards(shown, at, picked)
    give(selected, 'approve')
    setPicked(new Set())
    if (picked.has(at)) goTo(next)
  }

  // A verdict takes its request out of the list: the next one gets its place, and the focus.
  const before = useRef<Request[]>([])
  useEffect(() => {
    if (at && onItsWay.has(at) && before.current.some((request) => request.id === at)) {
      goTo(afterwards(before.current, at, onItsWay))
    }
    before.current = shown
  })

  useKeys('Inbox', [
    { keys: ['j', 'ArrowDown'], does: 'Next', run: () => step(1) },
    { keys: ['k', 'ArrowUp'], does: 'Previous', run: () => step(-1) },
    { keys: ['x'], does: 'Select', run: () => current && shown.includes(current) && toggle(current.id) },
    { keys: ['A'], does: 'Approve what is selected', run: approveSelected },
    {
      keys: ['v'],
      does: 'Go to what is ready for you',
      run: () => {
        if (current && kindOf(current) === 'ready') return false // there the key opens a value
        return goTo(shownParts.find((part) => part.kind === 'ready')?.requests[0] ?? current)
      },
    },
    {
      keys: ['/'],
      does: 'Filter',
      run: () => {
        cancelAnimationFrame(frame.current) // or a row would take the focus back
        filter.current?.focus()
      },
    },
    { keys: ['Escape'], does: 'Select nothing', run: () => setPicked(new Set()) },
  ])

  if (asked.isPending || (shown.length === 0 && !ready.isFetched)) return <Loading what="Loading the inbox" />
  if (asked.error && !asked.data) {
    return (
      <div className={classes.whole}>
        <Title order={1}>Inbox</Title>
        <Failed error={asked.error} again={() => void asked.refetch()} />
      </div>
    )
  }
  if (shown.length === 0 && !text && !chosen) return <AllDone waits={onItsWay.size} />
  const showList = !narrow || !at
  const showPane = !narrow || at
  return (
    <div className={classes.inbox}>
      {showList && (
        <section ref={list} className={classes.side} aria-label="What waits for you">
          <div className={classes.head}>
            <Group justify="space-between" wrap="nowrap">
              <Title order={1}>Inbox</Title>
              <Text size="sm" c="dimmed" role="status">
                {shown.length === 1 ? '1 thing waits' : `${shown.length}${asked.hasNextPage ? '+' : ''} things wait`}
              </Text>
            </Group>
            <TextInput
              ref={filter}
              aria-label="Filter by person, secret, reason or place"
              placeholder="Filter"
              leftSection={<IconSearch size={15} aria-hidden />}
              rightSection={<KeyHint of="/" />}
              rightSectionProps={{ 'aria-hidden': true }}
              value={text}
              maxLength={200}
              onChange={(event) => {
                setText(event.currentTarget.value)
                change({ text: event.currentTarget.value }, { replace: true })
              }}
              onKeyDown={(event) => {
                if (event.key === 'Escape' || event.key === 'Enter')
                  focus(shown.some((r) => r.id === at) ? at : shown[0]?.id)
              }}
            />
          </div>
          <List
            parts={shownParts}
            at={at}
            picked={picked}
            toggle={toggle}
            open={goTo}
            more={asked.hasNextPage}
            loadMore={() => void asked.fetchNextPage()}
            loading={asked.isFetchingNextPage}
          />
          {selected.length > 0 && (
            <div className={classes.bulk}>
              <Text size="sm" fw={500}>
                {selected.length} selected
              </Text>
              <Group gap="xs">
                <Button size="xs" variant="subtle" color="gray" onClick={() => setPicked(new Set())}>
                  Clear
                </Button>
                <ActionButton size="xs" blocked={together} onClick={approveSelected} aria-keyshortcuts="Shift+A">
                  Approve {selected.length}
                </ActionButton>
              </Group>
            </div>
          )}
        </section>
      )}
      {showPane && (
        <section ref={pane} className={classes.pane} aria-label="The request that you are at">
          {narrow && (
            <ActionIcon
              variant="subtle"
              color="gray"
              size="lg"
              className={classes.back}
              aria-label="Back to the inbox"
              onClick={() => goTo(undefined)}
            >
              <IconArrowLeft size={20} />
            </ActionIcon>
          )}
          {at ? (
            <Review key={at} id={at} told={current} />
          ) : (
            <Empty icon={IconSearch} title="Nothing fits the filter">
              <Button variant="default" size="xs" onClick={() => [setText(''), change({ text: '' })]}>
                Clear the filter
              </Button>
            </Empty>
          )}
        </section>
      )}
    </div>
  )
}
