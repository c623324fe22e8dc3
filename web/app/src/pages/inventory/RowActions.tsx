import { ActionIcon, Group } from '@mantine/core'
import { IconEye, IconPencil, type IconProps } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import type { ComponentType } from 'react'
import type { Secret } from '../../api/secrets'
import { paths } from '../../paths'
import { leads } from '../../search'
import { useMe } from '../../session/who'
import { whyNotAsk } from './asking'

/** What one can do with a secret of a list: ask to read it, ask to change it. */
export function RowActions({ secret }: { secret: Secret }) {
  const blocked = whyNotAsk(useMe(), secret)
  return (
    <Group gap={2} justify="flex-end" wrap="nowrap">
      <Ask what={`Ask to read ${secret.secret}`} to="read" icon={IconEye} secret={secret} blocked={blocked} />
      <Ask what={`Ask to change ${secret.secret}`} to="patch" icon={IconPencil} secret={secret} blocked={blocked} />
    </Group>
  )
}

interface AskProps {
  what: string
  to: 'read' | 'patch'
  icon: ComponentType<IconProps>
  secret: Secret
  blocked: string | undefined
}

function Ask({ what, to, icon: Icon, secret, blocked }: AskProps) {
  // A title and not a tooltip of ours: a list has many of these, and scrolls fast.
  if (blocked) {
    return (
      <ActionIcon
        variant="transparent"
        color="gray"
        opacity={0.45}
        aria-disabled
        aria-label={what}
        aria-description={blocked}
        title={blocked}
        onClick={(event) => event.preventDefault()}
      >
        <Icon size={16} />
      </ActionIcon>
    )
  }
  return (
    <ActionIcon
      component={Link}
      {...leads(paths.newRequest({ secret: secret.secret, operation: to }))}
      variant="subtle"
      color="gray"
      aria-label={what}
      title={to === 'read' ? 'Ask to read' : 'Ask to change'}
    >
      <Icon size={16} />
    </ActionIcon>
  )
}
