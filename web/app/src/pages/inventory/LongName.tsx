import classes from './LongName.module.css'

/** Where a secret lies, on one line: where there is no room for all of it, what goes first is the beginning of its path. */
export function LongName({ secret }: { secret: string }) {
  const first = secret.indexOf('/') + 1
  const last = Math.max(first, secret.lastIndexOf('/') + 1)
  return (
    <span className={classes.name} title={secret}>
      <span className={classes.connection}>{secret.slice(0, first)}</span>
      <span className={classes.path}>
        <bdi dir="ltr">{secret.slice(first, last)}</bdi>
      </span>
      <strong>{secret.slice(last)}</strong>
    </span>
  )
}
