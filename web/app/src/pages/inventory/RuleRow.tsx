import { ActionIcon, Group, Paper, Text, Tooltip } from '@mantine/core'
import { IconArrowDown, IconArrowUp, IconPencil, type IconProps, IconTrash } from '@tabler/icons-react'
import type { ComponentType } from 'react'
import type { OwnershipRule } from '../../api/secrets'
import type { Edit } from './rules'
import { matches, says } from './rules'

interface Props {
  rule: OwnershipRule
  at: number
  last: boolean
  blocked: string | undefined
  change: (what: Edit) => void
  open: () => void
}

/** One rule as a sentence, with what can be done to it. */
export function RuleRow({ rule, at, last, blocked, change, open }: Props) {
  const name = `rule ${at + 1}`
  return (
    <Paper component="li" withBorder px="md" py="xs" bg="var(--sb-surface)" style={{ listStyle: 'none' }}>
      <Group wrap="nowrap" gap="md">
        <Text c="dimmed" w={24} ta="end" style={{ flex: 'none' }}>
          {at + 1}
        </Text>
        <Text flex={1} style={{ overflowWrap: 'anywhere' }}>
          <Text span inherit c="dimmed">
            {matches(rule)}
          </Text>{' '}
          <strong>{says(rule)}</strong>
        </Text>
        <Group gap={2} wrap="nowrap">
          <Act
            what={`Move ${name} up`}
            icon={IconArrowUp}
            blocked={blocked ?? (at === 0 ? 'It is the first one.' : undefined)}
            act={() => change({ do: 'move', at, to: at - 1 })}
          />
          <Act
            what={`Move ${name} down`}
            icon={IconArrowDown}
            blocked={blocked ?? (last ? 'It is the last one.' : undefined)}
            act={() => change({ do: 'move', at, to: at + 1 })}
          />
          <Act what={`Change ${name}`} icon={IconPencil} blocked={blocked} act={open} />
          <Act what={`Remove ${name}`} icon={IconTrash} blocked={blocked} act={() => change({ do: 'remove', at })} />
        </Group>
      </Group>
    </Paper>
  )
}

interface ActProps {
  what: string
  icon: ComponentType<IconProps>
  blocked: string | undefined
  act: () => void
}

function Act({ what, icon: Icon, blocked, act }: ActProps) {
  return (
    <Tooltip label={blocked ?? what}>
      <ActionIcon
        variant={blocked ? 'transparent' : 'subtle'}
        color="gray"
        opacity={blocked ? 0.45 : undefined}
        aria-label={what}
        aria-disabled={blocked ? true : undefined}
        aria-description={blocked}
        onClick={(event) => (blocked ? event.preventDefault() : act())}
      >
        <Icon size={16} />
      </ActionIcon>
    </Tooltip>
  )
}
