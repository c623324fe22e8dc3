import { useQuery } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
import { type Request, requestQuery } from '../../api/requests'
import { asks, nameOf } from '../../parts/requestWords'
import { Page } from '../../ui/Page'
import { Review } from './review/Review'

/** The page of one request. */
export function RequestDetail() {
  const { id } = useParams({ strict: false }) as { id: string }
  const request = useQuery({ ...requestQuery(id), enabled: false }).data
  return (
    <Page title={request ? sentenceOf(request) : 'Request'} wide={false}>
      <Review key={id} id={id} headed />
    </Page>
  )
}

const sentenceOf = (request: Request): string => `${nameOf(request.requester)} ${asks(request)} ${request.secret}`
