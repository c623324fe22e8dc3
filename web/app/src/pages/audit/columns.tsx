import { Badge, Text } from '@mantine/core'
import { FactSentence } from '../../parts/FactSentence'
import type { Names } from '../../parts/facts/fact'
import { type FactEvent, isDenied } from '../../parts/factWords'
import type { Column } from '../../ui/DataTable'
import { exact, short } from '../../ui/time'
import classes from './Audit.module.css'

export const columnsOf = (names: Names, firsts: ReadonlyMap<string, FactEvent>): Column<FactEvent>[] => [
  {
    id: 'when',
    title: 'When',
    width: 'clamp(52px, 12vw, 108px)',
    cell: ({ time }) => (
      <time dateTime={time} title={exact(time)} className={classes.time}>
        {short(time)}
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
  {
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
  },
]
