import classes from './LabelChips.module.css'
import { type Label, sorted } from './labels'

interface Props {
  labels: Record<string, string>
  /** Narrows the list to secrets with that label. */
  choose: (label: Label) => void
  /** As many as there is room for; without it all of them, on as many lines as they need. */
  most?: number
}

/** The labels of a secret. Each is a filter. */
export function LabelChips({ labels, choose, most }: Props) {
  const all = sorted(labels)
  const shown = most === undefined ? all : all.slice(0, most)
  const rest = all.slice(shown.length)
  return (
    <div className={classes.chips} data-wrap={most === undefined || undefined}>
      {shown.map((label) => (
        <button
          key={label.name}
          type="button"
          className={classes.chip}
          title={`Only secrets with ${label.name}: ${label.value}`}
          onClick={() => choose(label)}
        >
          <div className={classes.text}>
            <span>{label.name}:</span> {label.value || '(empty)'}
          </div>
        </button>
      ))}
      {rest.length > 0 && (
        <span className={classes.rest} title={rest.map(({ name, value }) => `${name}: ${value}`).join('\n')}>
          +{rest.length}
        </span>
      )}
    </div>
  )
}
