import { Button, Checkbox, Modal, Stack, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import { newKey } from '../../api/client'
import { invitePerson, type Link as Made } from '../../api/people'
import { Problem } from '../../parts/Problem'
import { paths } from '../../paths'
import { DialogButtons } from '../../ui/DialogButtons'
import { submits } from '../../ui/submits'
import { useAttempt } from '../../ui/useAttempt'
import { LinkShown } from './LinkShown'

/** Lets somebody in, and shows the link that they choose a password by: in this dialog, and nowhere else. */
export function InviteDialog({ close }: { close: () => void }) {
  const cache = useQueryClient()
  const [name, setName] = useState('')
  const [email, setEmail] = useState('')
  const [emergency, setEmergency] = useState(false)
  const [made, setMade] = useState<Made>()
  const { busy, error, attempt } = useAttempt()
  const key = useRef(newKey())
  const submit = async () => {
    await attempt(async () => {
      try {
        setMade(await invitePerson({ name: name.trim(), email: email.trim(), break_glass: emergency }, key.current))
        void cache.invalidateQueries({ queryKey: ['people'] })
      } finally {
        key.current = newKey()
      }
    })
  }
  return (
    <Modal
      opened
      onClose={close}
      title={made ? `${name.trim()} is invited` : 'Invite somebody'}
      closeOnClickOutside={!made}
    >
      {made ? (
        <LinkShown
          link={made}
          close={close}
          next={
            <Button component={Link} to={paths.person(made.person)} onClick={close} maw="100%">
              Give {name.trim()} a role
            </Button>
          }
        >
          They have no rights yet, until somebody gives them a role.
        </LinkShown>
      ) : (
        <form onSubmit={submits(submit)}>
          <Stack>
            <Problem error={error} />
            <TextInput
              label="Name"
              required
              withAsterisk={false}
              maxLength={100}
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
              data-autofocus
            />
            <TextInput
              label="E-mail"
              type="email"
              required
              withAsterisk={false}
              maxLength={254}
              value={email}
              onChange={(event) => setEmail(event.currentTarget.value)}
            />
            <Checkbox
              label="An account for emergencies"
              description="It is never locked out, needs a longer password, and is meant for when nothing else works."
              checked={emergency}
              onChange={(event) => setEmergency(event.currentTarget.checked)}
            />
            <DialogButtons close={close} busy={busy}>
              Make the link
            </DialogButtons>
          </Stack>
        </form>
      )}
    </Modal>
  )
}
