import { Text, VisuallyHidden } from '@mantine/core'
import {
  IconBan,
  IconCheck,
  IconCircleDashed,
  IconLoader2,
  IconPlayerSkipForward,
  type IconProps,
} from '@tabler/icons-react'
import type { ComponentType } from 'react'
import type { Request } from '../../api/requests'
import { Countdown, When } from '../../ui/When'
import { type Stage, stages } from './progress'
import classes from './Stages.module.css'

const looks: Record<Stage['state'], { icon: ComponentType<IconProps>; says: string }> = {
  done: { icon: IconCheck, says: 'done' },
  now: { icon: IconLoader2, says: 'now' },
  later: { icon: IconCircleDashed, says: 'not yet' },
  stopped: { icon: IconBan, says: 'ended here' },
  skipped: { icon: IconPlayerSkipForward, says: 'left out' },
}

/** How far a request is, stage by stage. */
export function Stages({ request }: { request: Request }) {
  return (
    <ol className={classes.stages} aria-label="How far it is">
      {stages(request).map((stage) => {
        const look = looks[stage.state]
        return (
          <li
            key={stage.id}
            className={classes.stage}
            data-state={stage.state}
            aria-current={stage.state === 'now' ? 'step' : undefined}
          >
            <span className={classes.dot} aria-hidden>
              <look.icon size={13} stroke={2.4} />
            </span>
            <div className={classes.text}>
              <Text size="sm" fw={600}>
                {stage.title} <VisuallyHidden>({look.says})</VisuallyHidden>
              </Text>
              <Text size="sm">{stage.says}</Text>
              {stage.more && (
                <Text size="xs" c="dimmed">
                  {stage.more}
                </Text>
              )}
              {stage.at && (
                <Text size="xs" c="dimmed">
                  <When at={stage.at} />
                </Text>
              )}
              {stage.until && (
                <Text size="xs" c="dimmed">
                  <Countdown until={stage.until} over="over now" /> left
                </Text>
              )}
            </div>
          </li>
        )
      })}
    </ol>
  )
}
