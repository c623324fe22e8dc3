import { Checkbox, Modal, Select, Stack, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { newKey } from '../../api/client'
import { colleaguesQuery, delegate } from '../../api/me'
import { Problem } from '../../parts/Problem'
import { clock } from '../../session/renewal'
import { DialogButtons } from '../../ui/DialogButtons'
import { useAttempt } from '../../ui/useAttempt'

const day = 86_400_000

/** The furthest end that the server takes is 92 days ahead. */
const furthest = 91

/** Lets a colleague vote in one's place for some days. */
export function DelegateDialog({ close }: { close: () => void }) {
  const [typed, setTyped] = useState('')
  const [text] = useDebouncedValue(typed, 250)
  const found = useQuery(colleaguesQuery(text))
  const [to, setTo] = useState<string | null>(null)
  const [until, setUntil] = useState(() => dateOf(clock.now() + 7 * day))
  const [absent, setAbsent] = useState(false)
  const [reason, setReason] = useState('')
  const { busy, error, attempt } = useAttempt()
  const submit = async (person: string) => {
    await attempt(async () => {
      const end = new Date(`${until}T23:59:59`).toISOString()
      await delegate({ to: person, until: end, absent, reason: reason.trim() }, newKey())
      close()
    })
  }
  const people = found.data?.items.map((person) => ({ value: person.id, label: person.name })) ?? []
  return (
    <Modal opened onClose={close} title="Let somebody vote for you">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (to) void submit(to)
        }}
      >
        <Stack>
          <Problem error={error} />
          <Select
            label="Colleague"
            description="Two letters of the name find them."
            data={people}
            searchable
            filter={({ options }) => options}
            searchValue={typed}
            onSearchChange={setTyped}
            value={to}
            onChange={setTo}
            nothingFoundMessage={
              text.trim().length < 2 ? 'Type two letters' : found.isFetching ? 'Looking…' : 'Nobody of that name'
            }
            data-autofocus
          />
          <TextInput
            label="Until the end of"
            type="date"
            required
            withAsterisk={false}
            min={dateOf(clock.now())}
            max={dateOf(clock.now() + furthest * day)}
            value={until}
            onChange={(event) => setUntil(event.currentTarget.value)}
          />
          <Checkbox
            label="I am away: my own vote is not waited for"
            checked={absent}
            onChange={(event) => setAbsent(event.currentTarget.checked)}
          />
          <TextInput
            label="Why"
            maxLength={500}
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
          />
          <DialogButtons close={close} busy={busy} disabled={!to || !until}>
            Let them vote
          </DialogButtons>
        </Stack>
      </form>
    </Modal>
  )
}

/** dateOf is a day of this browser's zone, as a date field has it. */
function dateOf(at: number): string {
  const then = new Date(at)
  const two = (n: number) => String(n).padStart(2, '0')
  return `${then.getFullYear()}-${two(then.getMonth() + 1)}-${two(then.getDate())}`
}
