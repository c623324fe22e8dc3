import { Alert, Button, Group, SegmentedControl, Stack, TagsInput, Text, Title } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { IconRepeat } from '@tabler/icons-react'
import { keepPreviousData, useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { type ReactNode, useRef, useState } from 'react'
import { explainQuery, submit } from '../../../api/asking'
import { sentence } from '../../../api/problem'
import { requestsIn, requestsQuery } from '../../../api/requests'
import { paths } from '../../../paths'
import { useMe } from '../../../session/who'
import { ActionButton } from '../../../ui/ActionButton'
import { Page } from '../../../ui/Page'
import { type Change, newSending } from '../values/sealing'
import type { ValueHandle } from '../values/ValueField'
import { ChangeRows } from './ChangeRows'
import {
  askOf,
  bodyOf,
  changed,
  type Draft,
  type Field,
  fieldOf,
  missing,
  type Operation,
  type Row,
  repeat,
  whole,
} from './draft'
import { FillFields } from './FillFields'
import { GlassFields } from './GlassFields'
import { Leaving } from './Leaving'
import classes from './NewRequest.module.css'
import { ReasonFields } from './ReasonFields'
import { SecretPicker } from './SecretPicker'
import { useKeyNames } from './useKeyNames'
import { Verdict } from './Verdict'

/** How long somebody does not type before the rules are asked, in milliseconds. */
const pause = 400

/** What was wrong at the last try, by the field that it is told beside. */
type Faults = Partial<Record<Field, unknown>>

/** A request as it is written, what the rules say of it, and the way to send it. */
export function AskForm({ start }: { start: Draft }) {
  const me = useMe()
  const cache = useQueryClient()
  const navigate = useNavigate()
  const [draft, setDraft] = useState(start)
  const [typed, setTyped] = useState(false) // a value, which is in no draft
  const [faults, setFaults] = useState<Faults>({})
  const [busy, setBusy] = useState(false)
  const [sending] = useState(newSending)
  const sent = useRef(false)
  const values = useRef(new Map<number, ValueHandle>())
  const keyNames = useKeyNames(draft.secret.trim())
  const said = useVerdict(draft)
  const wants = said.idle ? undefined : said.result.data?.wants

  const update = (change: Partial<Draft>, field?: Field) => {
    sending.changed()
    setDraft({ ...draft, ...change })
    setFaults((before) => ({ ...before, form: undefined, ...(field && { [field]: undefined }) }))
  }
  const edited = () => {
    sending.changed()
    setTyped(true)
    setFaults((before) => ({ ...before, form: undefined, rows: undefined }))
  }
  const tell = (field: Field) => (faults[field] === undefined ? undefined : sentence(faults[field]))

  const send = async () => {
    const wrong = missing(draft)
    setFaults(Object.fromEntries(wrong.map(({ field, says }) => [field, new Error(says)])))
    if (wrong.length > 0) return
    setBusy(true)
    try {
      const done = await sending.send(
        { secret: draft.secret.trim(), me: me.id },
        changesOf(draft, values.current),
        (changes, key) => submit(bodyOf(draft, changes), key),
      )
      sent.current = true
      for (const value of values.current.values()) value.clear()
      void cache.invalidateQueries({ queryKey: ['requests'] })
      await navigate({ to: paths.request(done.id) })
    } catch (error) {
      setFaults({ [fieldOf(error)]: error })
    } finally {
      setBusy(false)
    }
  }
  return (
    <Page
      title="New request"
      about="Say which secret, what you want with it, and why. Nothing happens before the rules allow it."
      actions={
        <RepeatLast
          use={(last) => {
            sending.changed()
            setDraft(last)
            setFaults({})
          }}
        />
      }
    >
      <Leaving dirty={() => !sent.current && (typed || changed(draft, start))} />
      <form
        className={classes.columns}
        autoComplete="off"
        onSubmit={(event) => {
          event.preventDefault()
          if (!busy) void send()
        }}
        noValidate
      >
        <div className={classes.form}>
          <Section title="Which secret">
            <SegmentedControl
              aria-label="What you want with it"
              value={draft.operation}
              onChange={(operation) =>
                update({ operation: operation as Operation, rows: rowsOf(operation as Operation, draft.rows) })
              }
              data={[
                { value: 'read', label: 'Read it' },
                { value: 'change', label: 'Change it' },
                { value: 'create', label: 'Create it' },
              ]}
            />
            <SecretPicker
              value={draft.secret}
              operation={draft.operation}
              error={tell('secret')}
              onChange={(secret) => update({ secret }, 'secret')}
            />
          </Section>
          {draft.operation === 'read' ? (
            <Section title="Which of its keys">
              <TagsInput
                label="Keys"
                description="Leave it empty for all of them. Fewer are easier to approve."
                placeholder={draft.keys.length === 0 ? 'All keys' : ''}
                maxTags={64}
                value={draft.keys}
                onChange={(keys) => update({ keys }, 'keys')}
                data={keyNames.names}
                error={tell('keys')}
                clearable
                clearButtonProps={{ 'aria-label': 'All keys' }}
              />
              <Group gap="sm">{keyNames.button}</Group>
            </Section>
          ) : (
            <Section title={draft.operation === 'create' ? 'What is in it' : 'What changes'}>
              {draft.operation === 'change' && (
                <Group gap="sm">
                  {keyNames.button}
                  <Text size="sm" c="dimmed">
                    Keys that you do not name stay as they are.
                  </Text>
                </Group>
              )}
              <ChangeRows
                draft={draft}
                names={keyNames.names}
                error={faults.rows}
                fields={values}
                onChange={(rows) => update({ rows }, 'rows')}
                onEdit={edited}
              />
              <FillFields fill={draft.fill} error={tell('fill')} onChange={(fill) => update({ fill }, 'fill')} />
            </Section>
          )}
          <Section title="Why">
            <ReasonFields
              reason={draft.reason}
              ticket={draft.ticket}
              wants={wants}
              reasonError={tell('reason')}
              ticketError={tell('ticket')}
              onReason={(reason) => update({ reason }, 'reason')}
              onTicket={(ticket) => update({ ticket }, 'ticket')}
            />
          </Section>
          {(wants?.break_glass || draft.glass.on || faults.glass !== undefined) &&
            !(draft.operation !== 'read' && draft.fill.on) && (
              <Section title="If it cannot wait">
                <GlassFields
                  glass={draft.glass}
                  wants={wants?.break_glass}
                  error={tell('glass')}
                  onChange={(glass) => update({ glass }, 'glass')}
                />
              </Section>
            )}
          {faults.form !== undefined && (
            <Alert color="red" role="alert" title="This was not sent">
              {sentence(faults.form)}
            </Alert>
          )}
          <Group justify="flex-end">
            <Button variant="default" onClick={() => void navigate({ to: paths.requests() })}>
              Cancel
            </Button>
            <ActionButton type="submit" loading={busy} {...(draft.glass.on && { color: 'red' })}>
              {draft.glass.on ? 'Do it without approval' : 'Send the request'}
            </ActionButton>
          </Group>
        </div>
        <Verdict {...said} />
      </form>
    </Page>
  )
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className={classes.section} aria-label={title}>
      <Title order={2}>{title}</Title>
      <Stack gap="md">{children}</Stack>
    </section>
  )
}

/** A new secret only sets. */
const rowsOf = (operation: Operation, rows: Row[]): Row[] =>
  operation === 'create' ? rows.map((row) => ({ ...row, action: 'set' })) : rows

/** useVerdict asks the rules, once nobody types any more. */
function useVerdict(draft: Draft) {
  const [asked] = useDebouncedValue(JSON.stringify(askOf(draft)), pause)
  const ask = JSON.parse(asked) as ReturnType<typeof askOf>
  const idle = !whole(ask.secret)
  const result = useQuery({ ...explainQuery(ask), enabled: !idle, placeholderData: keepPreviousData })
  return { idle, result }
}

/** changesOf are the changes of a draft, each with the way to the value that was typed for it. */
function changesOf(draft: Draft, values: Map<number, ValueHandle>): Change[] {
  if (draft.operation === 'read') return []
  return draft.rows.map(({ id, key, action }) => {
    const value = values.get(id)
    const typed = !draft.fill.on && action === 'set' && value
    return { key: key.trim(), action: draft.fill.on ? 'set' : action, ...(typed && { value: () => value.read() }) }
  })
}

/** Fills the form from what one asked for last. Values are not part of it. */
function RepeatLast({ use }: { use: (draft: Draft) => void }) {
  const mayList = useMe().permissions.includes('request.list')
  const list = useInfiniteQuery({ ...requestsQuery({ mine: true }, 1), enabled: mayList })
  const [last] = requestsIn(list.data)
  const blocked = last ? undefined : 'You have not asked for anything yet.'
  return (
    <ActionButton
      variant="default"
      leftSection={<IconRepeat size={16} aria-hidden />}
      blocked={blocked}
      onClick={() => last && use(repeat(last))}
    >
      Repeat last
    </ActionButton>
  )
}
