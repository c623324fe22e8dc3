import { Alert } from '@mantine/core'
import { sentence } from '../api/problem'

/** What went wrong, in a sentence that says what to do; nothing where nothing did. */
export function Problem({ error }: { error: unknown }) {
  if (error === undefined) return null
  return (
    <Alert color="red" variant="light" role="alert">
      {sentence(error)}
    </Alert>
  )
}
