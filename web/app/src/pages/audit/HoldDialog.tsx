import { Modal, Select, Stack, Text, Textarea } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { newKey } from '../../api/client'
import { holdableQuery, placeHold } from '../../api/proof'
import { Problem } from '../../parts/Problem'
import { useMe } from '../../session/who'
import { DialogButtons } from '../../ui/DialogButtons'
import { submits } from '../../ui/submits'
import { useAttempt } from '../../ui/useAttempt'

interface Props {
  close: () => void
  placed: () => Promise<void>
}

/** An id of a person or a machine, for who may list neither, or means somebody who is in no list. */
const anId = /^u_[0-9a-z]{26}$/

/** Holds one person or machine: they cannot be erased, and what is known of them is kept. */
export function HoldDialog({ close, placed }: Props) {
  const { permissions } = useMe()
  const [people, machines] = [permissions.includes('person.list'), permissions.includes('machine.manage')]
  const known = useQuery({ ...holdableQuery(people, machines), enabled: people || machines })
  const [typed, setTyped] = useState('')
  const [who, setWho] = useState<string | null>(null)
  const [reason, setReason] = useState('')
  const { busy, error, attempt } = useAttempt()
  const key = useRef(newKey())
  const options = (known.data ?? []).map(({ id, name }) => ({ value: id, label: name }))
  const id = typed.trim()
  if (anId.test(id) && !options.some(({ value }) => value === id)) options.push({ value: id, label: id })
  const submit = () =>
    attempt(async () => {
      if (!who || !reason.trim()) return
      try {
        await placeHold(reason.trim(), who, key.current)
        await placed()
        close()
      } catch (caught) {
        key.current = newKey()
        throw caught
      }
    })
  return (
    <Modal opened onClose={close} title="Hold one person or machine">
      <form onSubmit={submits(submit)}>
        <Stack>
          <Problem error={error ?? known.error ?? undefined} />
          <Text>
            They cannot be erased, and nothing that is known of them is removed, until the hold is lifted. The reason
            stays in the log for ever: name the case, not a person.
          </Text>
          <Select
            label="Who"
            description={
              people || machines
                ? 'A part of the name or e-mail finds them; an id can be typed whole.'
                : 'Their id, such as u_0123456789abcdefghjkmnpqrs: you may not list people.'
            }
            data={options}
            searchable
            searchValue={typed}
            onSearchChange={setTyped}
            value={who}
            onChange={setWho}
            nothingFoundMessage={known.isFetching ? 'Looking…' : 'Nobody of that name or id'}
            data-autofocus
          />
          <Textarea
            label="Reason"
            required
            withAsterisk={false}
            maxLength={500}
            autosize
            minRows={2}
            maxRows={8}
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
          />
          <DialogButtons close={close} busy={busy} disabled={!who || !reason.trim()}>
            Place the hold
          </DialogButtons>
        </Stack>
      </form>
    </Modal>
  )
}
