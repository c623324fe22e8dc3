import classes from './ApiReference.module.css'

/** The method of a call, in a colour of its own: reading is calm, doing is not. */
export function Method({ of }: { of: string }) {
  return (
    <span className={classes.method} data-method={of}>
      {of === 'DELETE' ? 'DEL' : of}
    </span>
  )
}
