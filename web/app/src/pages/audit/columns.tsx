import { Badge, Text } from '@mantine/core'
import { FactSentence } from '../../parts/FactSentence'
import type { Names } from '../../parts/facts/fact'
import { type FactEvent, isDenied, labelOf } from '../../parts/factWords'
import type { Column } from '../../ui/DataTable'
import { exact, short } from '../../ui/time'
import classes from './Audit.module.css'

export const columnsOf = (names: Names, firsts: ReadonlyMap<string, FactEvent>): Column<FactEvent>[] => [
  {
    id: 'when',
    title: 'When',
    width: '112px',
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
        <FactSentence event={event} names={names} firsts={firsts} />
      </span>
    ),
  },
  {
    id: 'kind',
    title: 'Kind',
    width: '190px',
    wide: true,
    cell: (event) =>
      isDenied(event) ? (
        <Badge color="red">{labelOf(event.type)}</Badge>
      ) : (
        <Text span inherit c="dimmed">
          {labelOf(event.type)}
        </Text>
      ),
  },
  {
    id: 'position',
    title: 'Position',
    width: '72px',
    wide: true,
    end: true,
    cell: ({ seq }) => (
      <Text span inherit c="dimmed" className={classes.time}>
        {seq.toLocaleString('en')}
      </Text>
    ),
  },
]
