import { Group } from '@mantine/core'
import { IconHistory } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams } from '@tanstack/react-router'
import { type Account, personQuery } from '../../api/people'
import { codeOf } from '../../api/problem'
import { Facts, Section } from '../../parts/Facts'
import { Missing } from '../../parts/Missing'
import { Grants } from '../../parts/people/Grants'
import { paths } from '../../paths'
import { leads } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { Page } from '../../ui/Page'
import { Failed, Forbidden, Loading } from '../../ui/states'
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
  if (unseen) {
    return (
      <Page title="Person">
        <Forbidden reason={unseen} />
      </Page>
    )
  }
  if (codeOf(person.error) === 'person_erased') {
    return <Missing title="Person" what="This person was erased" to={paths.people()} back="To the people" />
  }
  if (codeOf(person.error) === 'person_unknown') {
    return <Missing title="Person" what="There is no such person" to={paths.people()} back="To the people" />
  }
  if (person.error && !person.data) {
    return (
      <Page title="Person">
        <Failed error={person.error} again={() => void person.refetch()} />
      </Page>
    )
  }
  if (!person.data) return <Loading what="Loading the person" />
  return <Shown person={person.data} />
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
