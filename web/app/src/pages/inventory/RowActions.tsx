import { IconEye, IconPencil } from '@tabler/icons-react'
import { useNavigate } from '@tanstack/react-router'
import type { MouseEvent } from 'react'
import type { Secret } from '../../api/secrets'
import { paths } from '../../paths'
import { leads } from '../../search'
import { useMe } from '../../session/who'
import { whyNotAsk } from './asking'
import classes from './RowActions.module.css'

/** What one can do with a secret of a list: ask to read it, ask to change it. */
export function RowActions({ secret }: { secret: Secret }) {
  const blocked = whyNotAsk(useMe(), secret)
  return (
    <div className={classes.actions}>
      <Ask secret={secret} operation="read" blocked={blocked} />
      <Ask secret={secret} operation="patch" blocked={blocked} />
    </div>
  )
}

interface AskProps {
  secret: Secret
  operation: 'read' | 'patch'
  blocked: string | undefined
}

/** A link of its own, with a title and not a tooltip: a list has many of these, and scrolls fast. */
function Ask({ secret, operation, blocked }: AskProps) {
  const navigate = useNavigate()
  const Icon = operation === 'read' ? IconEye : IconPencil
  const what = operation === 'read' ? 'Ask to read' : 'Ask to change'
  const name = `${what} ${secret.secret}`
  if (blocked) {
    return (
      <button
        type="button"
        className={classes.ask}
        aria-disabled
        aria-label={name}
        aria-description={blocked}
        title={blocked}
      >
        <Icon size={16} aria-hidden />
      </button>
    )
  }
  const to = paths.newRequest({ secret: secret.secret, operation })
  const go = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return // to another tab, as any link
    event.preventDefault()
    void navigate(leads(to))
  }
  return (
    <a href={to} className={classes.ask} aria-label={name} title={what} onClick={go}>
      <Icon size={16} aria-hidden />
    </a>
  )
}
