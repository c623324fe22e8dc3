import { Group, Text } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { disableMachine, enableMachine, eraseMachine, type Machine } from '../../api/machines'
import { Section } from '../../parts/Facts'
import { paths } from '../../paths'
import { leads } from '../../search'
import { ActionButton } from '../../ui/ActionButton'
import { lazily } from '../../ui/lazily'
import { ReasonDialog } from '../../ui/ReasonDialog'
import { Failed } from '../../ui/states'

const EraseDialog = lazily(() => import('../../parts/people/EraseDialog'), 'EraseDialog')

/** The ways to keep a machine out, and to let it in again. */
export function Keeping({ machine }: { machine: Machine }) {
  const cache = useQueryClient()
  const navigate = useNavigate()
  const [open, setOpen] = useState<'disable' | 'erase'>()
  const [error, setError] = useState<unknown>()
  const refresh = () => cache.invalidateQueries({ queryKey: ['machines'] })
  const enable = async () => {
    setError(undefined)
    try {
      await enableMachine(machine.id)
      await refresh()
    } catch (caught) {
      setError(caught)
    }
  }
  return (
    <Section title="Keep it out">
      {error !== undefined && <Failed error={error} />}
      <Text c="dimmed">
        A machine that is kept out has no tokens from that moment, and needs new ones when it is let in again. One that
        is erased leaves nothing here but a number in the history.
      </Text>
      <Group gap={8}>
        {machine.state === 'disabled' ? (
          <ActionButton variant="default" onClick={() => void enable()}>
            Let it in again
          </ActionButton>
        ) : (
          <ActionButton variant="default" onClick={() => setOpen('disable')}>
            Keep it out
          </ActionButton>
        )}
        <ActionButton variant="default" onClick={() => setOpen('erase')}>
          Erase
        </ActionButton>
      </Group>
      <ReasonDialog
        opened={open === 'disable'}
        close={() => setOpen(undefined)}
        title={`Keep ${machine.name} out`}
        about="All its tokens end at once, and stay ended when it is let in again."
        label="Reason, for the audit"
        confirm="Keep it out"
        danger
        act={async (reason) => {
          await disableMachine(machine.id, reason)
          await refresh()
        }}
      />
      {open === 'erase' && (
        <EraseDialog
          name={machine.name}
          about="Its name, description and tokens are gone for good. What it did stays in the history, under a number that leads to nobody."
          close={() => setOpen(undefined)}
          act={async () => {
            await eraseMachine(machine.id)
            await navigate({ ...leads(paths.machines()), replace: true })
            await refresh()
          }}
        />
      )}
    </Section>
  )
}
