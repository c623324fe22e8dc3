import { useQuery } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
import { type Request, requestQuery } from '../../api/requests'
import { asks, nameOf } from '../../parts/requestWords'
import { one, useFilters } from '../../search'
import { lazily } from '../../ui/lazily'
import { Page } from '../../ui/Page'
import { Loading } from '../../ui/states'
import { Review } from './review/Review'

const Past = lazily(() => import('./Past'), 'Past', <Loading what="Loading how it was" />)
const Evidence = lazily(() => import('./Evidence'), 'Evidence')

/** The page of one request, as it is or as it was. */
export function RequestDetail() {
  const { id } = useParams({ strict: false }) as { id: string }
  const [search] = useFilters()
  const asOf = one(search, 'as_of')
  const request = useQuery({ ...requestQuery(id), enabled: false }).data
  return (
    <Page title={request ? sentenceOf(request) : 'Request'} wide={false} actions={<Evidence id={id} />}>
      {asOf ? <Past key={`${id} ${asOf}`} id={id} asOf={asOf} /> : <Review key={id} id={id} headed />}
    </Page>
  )
}

const sentenceOf = (request: Request): string => `${nameOf(request.requester)} ${asks(request)} ${request.secret}`
