import { Anchor, Text, UnstyledButton } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useMemo } from 'react'
import { storyLength, storyQuery } from '../../api/audit'
import { FactSentence, firstsOf } from '../../parts/FactSentence'
import type { Names } from '../../parts/facts/fact'
import type { FactEvent } from '../../parts/factWords'
import { paths } from '../../paths'
import { leads } from '../../search'
import { Failed, Loading } from '../../ui/states'
import { exact, span } from '../../ui/time'
import classes from './Story.module.css'
import { type CommandNode, treeOf } from './tree'

interface Props {
  event: FactEvent
  names: Names
  show: (event: FactEvent) => void
}

/** All that one intention set in motion: what followed from what, and how long after the beginning. */
export function Story({ event, names, show }: Props) {
  const { data, isPending, error, refetch } = useQuery(storyQuery(event.correlation))
  const events = data?.events
  const firsts = useMemo(() => firstsOf(events ?? []), [events])
  const tree = useMemo(() => treeOf(events ?? []), [events])
  if (isPending) return <Loading what="Looking for what belongs to it" />
  if (error && !data) return <Failed error={error} again={() => void refetch()} />
  const began = tree[0]?.facts[0]?.event.time ?? event.time
  return (
    <div>
      <Text size="sm" c="dimmed" mb={12}>
        {data?.complete
          ? 'Everything that one intention set in motion. What is further in followed from what is above it; facts behind one line came about together.'
          : `The newest ${storyLength.toLocaleString('en')} facts of this intention; there are more.`}{' '}
        <Anchor component={Link} {...leads(paths.audit({ correlation: event.correlation }))} inherit>
          Show them as a list
        </Anchor>
      </Text>
      <Branch
        nodes={tree}
        shown={event.id}
        began={Date.parse(began)}
        names={names}
        firsts={firsts}
        show={show}
        label="Correlation tree"
      />
    </div>
  )
}

interface BranchProps extends Omit<Props, 'event'> {
  nodes: CommandNode[]
  shown: string
  began: number
  firsts: ReadonlyMap<string, FactEvent>
  label?: string
}

function Branch({ nodes, label, ...props }: BranchProps) {
  return (
    <ul className={classes.branch} aria-label={label}>
      {nodes.map(({ command, facts }) => (
        <li key={command}>
          <ul className={classes.command} aria-label={facts.length > 1 ? 'Came about together' : undefined}>
            {facts.map(({ event, next }) => (
              <li key={event.id}>
                <UnstyledButton
                  className={classes.fact}
                  aria-current={event.id === props.shown ? 'true' : undefined}
                  onClick={() => props.show(event)}
                >
                  <FactSentence event={event} names={props.names} firsts={props.firsts} />
                  <time dateTime={event.time} title={exact(event.time)} className={classes.delta}>
                    {after(event, props.began)}
                  </time>
                </UnstyledButton>
                {next.length > 0 && <Branch {...props} nodes={next} />}
              </li>
            ))}
          </ul>
        </li>
      ))}
    </ul>
  )
}

/** after is how long after the beginning a fact came about. */
function after(event: FactEvent, began: number): string {
  const seconds = (Date.parse(event.time) - began) / 1000
  if (seconds <= 0) return 'start'
  if (seconds < 1) return `+${Math.round(seconds * 1000)} ms`
  return seconds < 10 ? `+${seconds.toFixed(1)} s` : `+${span(seconds)}`
}
