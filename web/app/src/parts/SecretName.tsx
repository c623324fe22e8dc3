import classes from './SecretName.module.css'

/** Where a secret lies, CONNECTION/REF: the connection quiet, the end of the path in full weight. */
export function SecretName({ secret }: { secret: string }) {
  const first = secret.indexOf('/') + 1
  const last = secret.lastIndexOf('/') + 1
  return (
    <span className={classes.name} title={secret}>
      <span className={classes.quiet}>{secret.slice(0, first)}</span>
      {secret.slice(first, Math.max(first, last))}
      <strong>{secret.slice(Math.max(first, last))}</strong>
    </span>
  )
}
