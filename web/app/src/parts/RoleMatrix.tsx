import { Anchor, Badge, Group, Stack, Text, TextInput } from '@mantine/core'
import { IconCheck, IconMinus, IconPlus, IconSearch } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { Fragment, lazy, Suspense } from 'react'
import type { Schema } from '../api/client'
import { type Governance, governanceQuery, permissionsQuery } from '../api/governance'
import { one, useFilters } from '../search'
import { useMe, whyNot } from '../session/who'
import { ActionButton } from '../ui/ActionButton'
import { Failed, Forbidden, Loading } from '../ui/states'
import { draftOf, newDraft } from './change/draft'
import { useDrafted } from './change/drafts'
import { find, ofKind } from './governance/objects'
import classes from './RoleMatrix.module.css'
import { areas, areaWords } from './roleWords'

const RoleEditor = lazy(() => import('./RoleEditor'))

interface Column {
  name: string
  description: string | undefined
  holds: Set<string>
  own: boolean
}

/** Which role lets somebody do what: the roles of the system, and one's own, which can be edited here. */
export function RoleMatrix() {
  const reason = whyNot(useMe(), 'governance.read', 'read the roles')
  const governance = useQuery({ ...governanceQuery, enabled: !reason })
  const permissions = useQuery(permissionsQuery)
  if (reason) return <Forbidden reason={reason} />
  const failed = [governance, permissions].find((query) => query.isError)
  if (failed) return <Failed error={failed.error} again={() => void failed.refetch()} />
  if (!governance.data || !permissions.data) return <Loading />
  return <Shown governance={governance.data} permissions={permissions.data} />
}

function Shown({ governance, permissions }: { governance: Governance; permissions: Schema['Permissions'] }) {
  const [search, change] = useFilters()
  const me = useMe()
  const name = one(search, 'role')
  const thing = name ? find(governance, 'Role', name) : undefined
  const begin = thing ? draftOf(thing) : one(search, 'new') === 'role' ? newDraft('Role', {}) : undefined
  const text = one(search, 'text').toLowerCase()
  const columns: Column[] = [
    ...permissions.roles.map((role) => ({
      name: role.name,
      description: role.description,
      holds: new Set<string>(role.permissions),
      own: false,
    })),
    ...ofKind(governance, 'Role').map((role) => ({
      name: role.name,
      description: role.spec.description,
      holds: new Set(role.spec.permissions ?? []),
      own: true,
    })),
  ]
  const shown = permissions.permissions.filter((p) => `${p.permission} ${p.sentence}`.toLowerCase().includes(text))
  return (
    <Stack gap={16}>
      <Group justify="space-between">
        <TextInput
          w={320}
          aria-label="Filter permissions"
          placeholder="Filter what somebody may do…"
          leftSection={<IconSearch size={15} aria-hidden />}
          value={one(search, 'text')}
          onChange={(event) => change({ text: event.currentTarget.value }, { replace: true })}
        />
        <ActionButton
          blocked={whyNot(me, 'governance.manage', 'make roles')}
          leftSection={<IconPlus size={15} />}
          onClick={() => change({ new: 'role' })}
        >
          New role
        </ActionButton>
      </Group>
      <Matrix columns={columns} permissions={shown} />
      {begin && (
        <Suspense>
          <RoleEditor key={name} begin={begin} governance={governance} leave={() => change({ role: '', new: '' })} />
        </Suspense>
      )}
    </Stack>
  )
}

function Matrix({ columns, permissions }: { columns: Column[]; permissions: Schema['Permissions']['permissions'] }) {
  const [, change] = useFilters()
  const drafted = useDrafted('Role')
  if (permissions.length === 0) return <Text c="dimmed">No permission fits.</Text>
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by keys
    <div className={classes.frame} tabIndex={0} role="region" aria-label="Roles and permissions">
      <table className={classes.table}>
        <thead>
          <tr>
            <th scope="col" className={classes.corner}>
              Lets somebody
            </th>
            {columns.map((column) => (
              <th key={column.name} scope="col" title={column.description}>
                {column.own ? (
                  <Anchor component="button" type="button" fw={600} onClick={() => change({ role: column.name })}>
                    {column.name}
                  </Anchor>
                ) : (
                  column.name
                )}
                <Group gap={4} justify="center" mt={4}>
                  <Badge size="sm" color={column.own ? 'indigo' : 'gray'}>
                    {column.own ? 'Own' : 'System'}
                  </Badge>
                  {column.own && drafted(column.name) && <Badge size="sm">Draft</Badge>}
                </Group>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {areas(permissions).map(([area, list]) => (
            <Fragment key={area}>
              <tr>
                <th scope="rowgroup" colSpan={columns.length + 1} className={classes.area}>
                  {areaWords(area)}
                </th>
              </tr>
              {list.map((p) => (
                <tr key={p.permission}>
                  <th scope="row" title={p.permission}>
                    {p.sentence}
                  </th>
                  {columns.map((column) => (
                    <td key={column.name}>
                      {column.holds.has(p.permission) ? (
                        <IconCheck size={16} role="img" aria-label="yes" className={classes.yes} />
                      ) : (
                        <IconMinus size={14} role="img" aria-label="no" className={classes.no} />
                      )}
                    </td>
                  ))}
                </tr>
              ))}
            </Fragment>
          ))}
        </tbody>
      </table>
    </div>
  )
}
