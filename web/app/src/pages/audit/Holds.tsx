import { Badge, Button, Group, Stack, Text } from '@mantine/core'
import { IconScale } from '@tabler/icons-react'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { type Hold, holdsQuery, liftHold, placeHold } from '../../api/proof'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { ReasonDialog } from '../../ui/ReasonDialog'
import { Empty, Failed, Loading } from '../../ui/states'
import { When } from '../../ui/When'
import { HoldDialog } from './HoldDialog'
import classes from './Holds.module.css'

/** Legal holds: while one counts, nothing is removed that retention would remove. */
export function Holds() {
  const blocked = whyNot(useMe(), 'hold.manage', 'place and lift legal holds')
  const cache = useQueryClient()
  const holds = useQuery(holdsQuery)
  const [placing, setPlacing] = useState(false)
  const [choosing, setChoosing] = useState(false)
  const [lifting, setLifting] = useState<Hold>()
  if (holds.isPending) return <Loading what="Loading legal holds" />
  if (holds.error) return <Failed error={holds.error} again={() => void holds.refetch()} />
  const changed = () => cache.invalidateQueries({ queryKey: holdsQuery.queryKey })
  const place = (
    <>
      <ActionButton blocked={blocked} variant="default" onClick={() => setChoosing(true)}>
        Hold one person
      </ActionButton>
      <ActionButton blocked={blocked} variant="default" onClick={() => setPlacing(true)}>
        Hold everything
      </ActionButton>
    </>
  )
  return (
    <Stack gap={16}>
      <Text size="sm">
        While a hold counts, what would be removed after its time is kept, and whoever is held cannot be erased. Facts
        are never removed, with or without a hold; values end as ever.
      </Text>
      {holds.data.length === 0 ? (
        <Empty icon={IconScale} title="Nothing is held" actions={place}>
          What is outside the log is removed when its time is over.
        </Empty>
      ) : (
        <>
          <Group>{place}</Group>
          <ul className={classes.list} aria-label="Legal holds">
            {holds.data.map((hold) => (
              <li key={hold.id} className={classes.hold}>
                <Group justify="space-between" wrap="nowrap" align="start">
                  <div>
                    <Group gap={8}>
                      <strong>{hold.user ? (hold.user_name ?? hold.user) : 'Everybody'}</strong>
                      <Badge color="gray">Held</Badge>
                    </Group>
                    <Text>{hold.reason}</Text>
                    <Text size="sm" c="dimmed">
                      by {hold.by_name ?? hold.by} <When at={hold.at} />
                    </Text>
                  </div>
                  {blocked ? (
                    <ActionButton blocked={blocked} size="compact-sm" variant="default">
                      Lift
                    </ActionButton>
                  ) : (
                    <Button size="compact-sm" variant="default" onClick={() => setLifting(hold)}>
                      Lift
                    </Button>
                  )}
                </Group>
              </li>
            ))}
          </ul>
        </>
      )}
      {choosing && <HoldDialog close={() => setChoosing(false)} placed={changed} />}
      <ReasonDialog
        opened={placing}
        close={() => setPlacing(false)}
        title="Hold everything?"
        about="Nobody can be erased, and nothing is removed, until the hold is lifted. The reason stays in the log for ever: name the case, not a person."
        required
        confirm="Place the hold"
        act={(reason) => placeHold(reason).then(changed)}
      />
      <ReasonDialog
        opened={lifting !== undefined}
        close={() => setLifting(undefined)}
        title="Lift this hold?"
        about="What it kept is removed when its time is over, unless another hold keeps it."
        required
        confirm="Lift the hold"
        danger
        act={(reason) => liftHold(lifting?.id ?? '', reason).then(changed)}
      />
    </Stack>
  )
}
