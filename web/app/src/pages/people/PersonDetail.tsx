import { Group } from '@mantine/core'
import { IconHistory } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams } from '@tanstack/react-router'
import { type Account, personQuery } from '../../api/people'
import { Facts, Section } from '../../parts/Facts'
import { One } from '../../parts/One'
import { Grants } from '../../parts/people/Grants'
import { paths } from '../../paths'
import { leads } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { Page } from '../../ui/Page'
import { When } from '../../ui/When'
import { Keeping } from './Keeping'
import { factorsOf } from './peopleWords'
import { SessionsOf } from './SessionsOf'
import { Standing } from './Standing'

/** One person: who they are, what they may do, and the ways to let them in and to keep them out. */
export function PersonDetail() {
  const { id } = useParams({ strict: false }) as { id: string }
  const unseen = whyNot(useMe(), 'person.list', 'see people')
  const person = useQuery({ ...personQuery(id), enabled: !unseen })
  return (
    <One
      title="Person"
      query={person}
      unseen={unseen}
      missing={{ person_unknown: 'There is no such person', person_erased: 'This person was erased' }}
      back={{ to: paths.people(), label: 'To the people' }}
    >
      {(found) => <Shown person={found} />}
    </One>
  )
}

function Shown({ person }: { person: Account }) {
  const me = useMe()
  const navigate = useNavigate()
  return (
    <Page
      title={person.name}
      about={person.email}
      wide={false}
      actions={
        <ActionButton
          variant="default"
          leftSection={<IconHistory size={15} />}
          blocked={whyNot(me, 'audit.read', 'read the audit')}
          onClick={() => void navigate(leads(paths.audit({ actor: `user:${person.id}` })))}
        >
          In the audit
        </ActionButton>
      }
    >
      <Section title="What is known">
        <Facts
          of={[
            [
              'State',
              <Group key="state">
                <Standing person={person} />
              </Group>,
            ],
            ['Groups', person.groups.length > 0 && person.groups.join(', ')],
            ['Second factors', factorsOf(person)],
            ['Here since', <When key="since" at={person.created_at} />],
            ['Last signed in', person.signed_in_at ? <When key="seen" at={person.signed_in_at} /> : 'never'],
          ]}
        />
      </Section>
      <Grants person={person} none="None: they can sign in, and do nothing yet." />
      <SessionsOf person={person} />
      <Keeping person={person} />
    </Page>
  )
}
