import { Tabs, Text } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconUserPlus, IconUsers } from '@tabler/icons-react'
import { useNavigate } from '@tanstack/react-router'
import { useListing } from '../../api/listing'
import { type Account, peopleQuery } from '../../api/people'
import { ListTable } from '../../parts/ListTable'
import { RoleMatrix } from '../../parts/RoleMatrix'
import { paths } from '../../paths'
import { one, useFilters } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import type { Column } from '../../ui/DataTable'
import { lazily } from '../../ui/lazily'
import { Page } from '../../ui/Page'
import { Empty, Forbidden } from '../../ui/states'
import { When } from '../../ui/When'
import { factorsOf, rolesOf } from './peopleWords'
import { Standing } from './Standing'

const InviteDialog = lazily(() => import('./InviteDialog'), 'InviteDialog')

/** Who may come in, and what roles there are to give them. */
export function People() {
  const me = useMe()
  const [search, change] = useFilters()
  const [inviting, { open, close }] = useDisclosure()
  const unseen = whyNot(me, 'person.list', 'see people')
  const tab = one(search, 'show') === 'roles' ? 'roles' : 'people'
  const unread = whyNot(me, 'governance.read', 'read what roles there are')
  return (
    <Page
      title="Roles & people"
      about="Who may come in, what they may do, and what each role means."
      actions={
        <ActionButton
          leftSection={<IconUserPlus size={16} />}
          blocked={whyNot(me, 'person.manage', 'invite people')}
          onClick={open}
        >
          Invite somebody
        </ActionButton>
      }
    >
      <Tabs value={tab} onChange={(to) => change({ show: to === 'roles' ? 'roles' : undefined })} keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="people">People</Tabs.Tab>
          <Tabs.Tab value="roles">Roles</Tabs.Tab>
        </Tabs.List>
      </Tabs>
      {tab === 'people' && (unseen ? <Forbidden reason={unseen} /> : <PeopleList />)}
      {tab === 'roles' && (unread ? <Forbidden reason={unread} /> : <RoleMatrix />)}
      {inviting && <InviteDialog close={close} />}
    </Page>
  )
}

const columns: Column<Account>[] = [
  { id: 'name', title: 'Name', width: 'minmax(0, 1.2fr)', cell: (person) => <strong>{person.name}</strong> },
  {
    id: 'email',
    title: 'E-mail',
    width: 'minmax(0, 1.4fr)',
    wide: true,
    cell: (person) => (
      <Text span inherit c="dimmed">
        {person.email}
      </Text>
    ),
  },
  { id: 'roles', title: 'Roles', width: 'minmax(0, 1.2fr)', cell: (person) => rolesOf(person) },
  { id: 'standing', title: 'State', width: '148px', cell: (person) => <Standing person={person} /> },
  { id: 'factors', title: 'Second factor', width: 'minmax(0, 0.9fr)', wide: true, cell: factorsOf },
  {
    id: 'seen',
    title: 'Last signed in',
    width: '132px',
    wide: true,
    cell: (person) => (person.signed_in_at ? <When at={person.signed_in_at} /> : 'never'),
  },
]

function PeopleList() {
  const navigate = useNavigate()
  const list = useListing(peopleQuery)
  return (
    <ListTable
      list={list}
      label="People"
      columns={columns}
      keyOf={(person) => person.id}
      open={(person) => void navigate({ to: paths.person(person.id) })}
      empty={
        <Empty icon={IconUsers} title="Nobody is here yet">
          Invite somebody: they get a link, choose a password, and have no rights until you give them a role.
        </Empty>
      }
    />
  )
}
