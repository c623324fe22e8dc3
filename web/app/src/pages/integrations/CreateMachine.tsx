import { Modal, Stack, Textarea, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import { newKey } from '../../api/client'
import { createMachine } from '../../api/machines'
import { Problem } from '../../parts/Problem'
import { paths } from '../../paths'
import { DialogButtons } from '../../ui/DialogButtons'
import { submits } from '../../ui/submits'
import { useAttempt } from '../../ui/useAttempt'
import { nameRule, wrongName } from './machineWords'

/** Makes an account for a program, and leads to its page, where it gets roles and tokens. */
export function CreateMachine({ close }: { close: () => void }) {
  const cache = useQueryClient()
  const navigate = useNavigate()
  const [name, setName] = useState('')
  const [description, setDescription] = useState('')
  const { busy, error, attempt } = useAttempt()
  const key = useRef(newKey())
  const submit = async () => {
    await attempt(async () => {
      const { id } = await createMachine({ name, description: description.trim() }, key.current)
      await cache.invalidateQueries({ queryKey: ['machines'] })
      close()
      await navigate({ to: paths.machine(id) })
    })
    key.current = newKey()
  }
  return (
    <Modal opened onClose={close} title="New machine">
      <form onSubmit={submits(submit)}>
        <Stack>
          <TextInput
            label="Name"
            description="As you will know it in lists and in the audit, such as the name of its pipeline."
            placeholder="shop-deploy"
            required
            withAsterisk={false}
            maxLength={40}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            error={wrongName(name)}
            data-autofocus
          />
          <Textarea
            label="What it is for"
            maxLength={2000}
            autosize
            minRows={2}
            maxRows={6}
            value={description}
            onChange={(event) => setDescription(event.currentTarget.value)}
          />
          <Problem error={error} />
          <DialogButtons close={close} busy={busy} disabled={!nameRule.test(name)}>
            Make it
          </DialogButtons>
        </Stack>
      </form>
    </Modal>
  )
}
