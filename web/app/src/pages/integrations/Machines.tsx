import { Badge, Text } from '@mantine/core'
import { IconRobot } from '@tabler/icons-react'
import { useNavigate } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useListing } from '../../api/listing'
import { type Machine, machinesQuery } from '../../api/machines'
import { ListTable } from '../../parts/ListTable'
import { paths } from '../../paths'
import type { Column } from '../../ui/DataTable'
import { Empty } from '../../ui/states'
import { When } from '../../ui/When'
import { lastUsed, stateWords, tokensOf } from './machineWords'

const columns: Column<Machine>[] = [
  { id: 'name', title: 'Machine', width: 'minmax(0, 1fr)', cell: (machine) => <strong>{machine.name}</strong> },
  { id: 'state', title: 'State', width: '92px', cell: (machine) => <MachineBadge machine={machine} /> },
  {
    id: 'for',
    title: 'What it is for',
    width: 'minmax(0, 1.6fr)',
    wide: true,
    cell: (machine) => (
      <Text span inherit c="dimmed" title={machine.description}>
        {machine.description}
      </Text>
    ),
  },
  {
    id: 'roles',
    title: 'Roles',
    width: 'minmax(0, 1fr)',
    wide: true,
    cell: (machine) => [...new Set(machine.grants.map(({ role }) => role))].sort().join(', ') || 'none',
  },
  { id: 'tokens', title: 'Tokens', width: '92px', cell: tokensOf },
  {
    id: 'used',
    title: 'Last used',
    width: '120px',
    wide: true,
    cell: (machine) => {
      const at = lastUsed(machine)
      return at ? <When at={at} /> : 'never'
    },
  },
]

export function MachineBadge({ machine }: { machine: Pick<Machine, 'state'> }) {
  const { label, tone } = stateWords[machine.state]
  return <Badge color={tone}>{label}</Badge>
}

/** The machines there are, oldest first. */
export function Machines({ make }: { make: ReactNode }) {
  const navigate = useNavigate()
  const list = useListing(machinesQuery)
  return (
    <ListTable
      list={list}
      label="Machines"
      columns={columns}
      keyOf={(machine) => machine.id}
      open={(machine) => void navigate({ to: paths.machine(machine.id) })}
      empty={
        <Empty icon={IconRobot} title="No program comes in yet" actions={make}>
          A machine is an account for a pipeline or a script. It has roles like a person, comes in by a token, and never
          decides on what others ask for.
        </Empty>
      }
    />
  )
}
