import { Badge, Text } from '@mantine/core'
import { FactSentence } from '../../parts/FactSentence'
import type { Names } from '../../parts/facts/fact'
import { type FactEvent, isDenied } from '../../parts/factWords'
import type { Column } from '../../ui/DataTable'
import { exact, shortExact } from '../../ui/time'
import classes from './Audit.module.css'

const position: Column<FactEvent> = {
  id: 'position',
  title: 'Position',
  width: '64px',
  wide: true,
  end: true,
  cell: ({ seq }) => (
    <Text span inherit c="dimmed" className={classes.number}>
      {seq.toLocaleString('en')}
    </Text>
  ),
}

/** columnsOf are the columns of the list. Where there is little room, the sentence has all of it. */
export const columnsOf = (
  names: Names,
  firsts: ReadonlyMap<string, FactEvent>,
  roomy: boolean,
): Column<FactEvent>[] => [
  {
    id: 'when',
    title: 'When',
    width: 'clamp(60px, 12vw, 124px)',
    cell: ({ time }) => (
      <time dateTime={time} title={exact(time)} className={classes.time}>
        {shortExact(time)}
      </time>
    ),
  },
  {
    id: 'what',
    title: 'What happened',
    width: 'minmax(0, 1fr)',
    cell: (event) => (
      <span className={classes.sentence}>
        {isDenied(event) && (
          <Badge color="red" mr={8} className={classes.badge}>
            Denied
          </Badge>
        )}
        <FactSentence event={event} names={names} firsts={firsts} />
      </span>
    ),
  },
  ...(roomy ? [position] : []),
]
