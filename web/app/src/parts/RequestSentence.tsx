import { asks, nameOf, type Request } from './requestWords'
import { SecretName } from './SecretName'

type Told = Pick<Request, 'requester' | 'operation' | 'patch' | 'fill' | 'secret' | 'keys'>

/** "Ana asks to read prod/db/password", with the keys where it is not about all of them. */
export function RequestSentence({ request }: { request: Told }) {
  return (
    <span>
      <strong>{nameOf(request.requester)}</strong> {asks(request)} <SecretName secret={request.secret} />
      {request.operation === 'read' && request.keys.length > 0 && (
        <>
          {' '}
          ({request.keys.length === 1 ? 'key' : 'keys'} {request.keys.join(', ')})
        </>
      )}
    </span>
  )
}
