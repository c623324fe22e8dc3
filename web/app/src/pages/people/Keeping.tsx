import { Group, Text } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { type Account, disablePerson, enablePerson, erasePerson, type Link, resetLink } from '../../api/people'
import { Section } from '../../parts/Facts'
import { paths } from '../../paths'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { lazily } from '../../ui/lazily'
import { ReasonDialog } from '../../ui/ReasonDialog'
import { Failed } from '../../ui/states'

const LinkDialog = lazily(() => import('./LinkDialog'), 'LinkDialog')
const EraseDialog = lazily(() => import('../../parts/people/EraseDialog'), 'EraseDialog')

/** The ways to let somebody in again, and to keep them out. */
export function Keeping({ person }: { person: Account }) {
  const me = useMe()
  const cache = useQueryClient()
  const navigate = useNavigate()
  const [open, setOpen] = useState<'disable' | 'erase'>()
  const [link, setLink] = useState<Link>()
  const [error, setError] = useState<unknown>()
  const blocked =
    me.id === person.id
      ? 'Nobody does this to themselves. Ask another administrator.'
      : whyNot(me, 'person.manage', 'let people in and keep them out')
  const refresh = () => cache.invalidateQueries({ queryKey: ['people'] })
  const attempt = async (what: () => Promise<void>) => {
    setError(undefined)
    try {
      await what()
    } catch (caught) {
      setError(caught)
    }
  }
  const out = person.state === 'disabled'
  return (
    <Section title="Let in, keep out">
      {error !== undefined && <Failed error={error} />}
      <Text c="dimmed">
        A reset link lets them choose a new password. Who is kept out has no sessions and no links from that moment. Who
        is erased leaves nothing here but a number in the history.
      </Text>
      <Group gap={8}>
        <ActionButton
          variant="default"
          blocked={blocked ?? (out ? 'They are kept out. Let them in first.' : undefined)}
          onClick={() => void attempt(async () => setLink(await resetLink(person.id)))}
        >
          Make a reset link
        </ActionButton>
        {out ? (
          <ActionButton
            variant="default"
            blocked={blocked}
            onClick={() =>
              void attempt(async () => {
                await enablePerson(person.id)
                await refresh()
              })
            }
          >
            Let them in again
          </ActionButton>
        ) : (
          <ActionButton variant="default" blocked={blocked} onClick={() => setOpen('disable')}>
            Keep them out
          </ActionButton>
        )}
        <ActionButton variant="default" blocked={blocked} onClick={() => setOpen('erase')}>
          Erase
        </ActionButton>
      </Group>
      {link && <LinkDialog name={person.name} link={link} close={() => setLink(undefined)} />}
      <ReasonDialog
        opened={open === 'disable'}
        close={() => setOpen(undefined)}
        title={`Keep ${person.name} out`}
        about="Their sessions and links end at once."
        label="Reason, for the audit"
        confirm="Keep them out"
        danger
        act={async (reason) => {
          await disablePerson(person.id, reason)
          await refresh()
        }}
      />
      {open === 'erase' && (
        <EraseDialog
          name={person.name}
          about="Name, e-mail, password, factors and sessions are gone for good. What they did stays in the history, under a number that leads to nobody."
          close={() => setOpen(undefined)}
          act={async () => {
            await erasePerson(person.id)
            await refresh()
            await navigate({ to: paths.people() })
          }}
        />
      )}
    </Section>
  )
}
