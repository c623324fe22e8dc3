import { Anchor, Group, Text } from '@mantine/core'
import { IconHistory } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { pastQuery } from '../../api/requests'
import { paths } from '../../paths'
import { Note } from '../../ui/Note'
import { Failed, Loading } from '../../ui/states'
import { Account } from './review/Review'

/** One request as it was after a commit of the log, or at a time. Nothing of it can be acted on. */
export function Past({ id, asOf }: { id: string; asOf: string }) {
  const query = useQuery(pastQuery(id, asOf))
  const back = (
    <Anchor component={Link} to={paths.request(id)}>
      Show it as it is now
    </Anchor>
  )
  if (query.isPending) return <Loading what="Loading how it was" />
  if (query.error) {
    return (
      <>
        <Failed error={query.error} again={() => void query.refetch()} />
        <Group justify="center">{back}</Group>
      </>
    )
  }
  const request = query.data
  return (
    <article aria-label="Request as it was">
      <Note tone="gray" icon={IconHistory} title={`As it was after commit ${request.as_of?.toLocaleString('en')}`}>
        <Text>Folded from the facts of the log until then. Names, and who may see it, are those of today. {back}.</Text>
      </Note>
      <Account request={request} headed past />
    </article>
  )
}
