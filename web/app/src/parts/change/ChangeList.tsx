import { Badge, Group, Paper, Stack, Text, Title } from '@mantine/core'
import type { ObjectChange } from '../../api/governance'
import { kindWords } from '../governance/objects'
import classes from './ChangeList.module.css'
import { capital } from './Editing'
import { saidOf, wordsOf } from './fieldWords'

const actions: Record<ObjectChange['action'], { label: string; tone: string }> = {
  added: { label: 'New', tone: 'blue' },
  changed: { label: 'Changed', tone: 'indigo' },
  removed: { label: 'Removed', tone: 'red' },
}

interface Props {
  changes: ObjectChange[]
  nameOf: (id: string) => string
  /** The level of the headings of the objects. */
  order?: 3 | 4
}

/** What a change does to each object, field by field, before and after. */
export function ChangeList({ changes, nameOf, order = 3 }: Props) {
  if (changes.length === 0) return <Text c="dimmed">Nothing is different.</Text>
  return (
    <Stack gap={12}>
      {changes.map((change) => {
        const action = actions[change.action]
        return (
          <Paper key={`${change.kind}/${change.name}`} withBorder radius="md" className={classes.object}>
            <Group gap={8} px={12} py={8} className={classes.head}>
              <Badge color={action.tone}>{action.label}</Badge>
              <Title order={order} size="h3">
                {capital(kindWords[change.kind].one)} <span className={classes.name}>{change.name}</span>
              </Title>
            </Group>
            {change.fields.length > 0 && (
              <table className={classes.table}>
                <thead className={classes.hidden}>
                  <tr>
                    <th scope="col">Field</th>
                    <th scope="col">Difference</th>
                  </tr>
                </thead>
                <tbody>
                  {change.fields.map((field, i) => (
                    // biome-ignore lint/suspicious/noArrayIndexKey: entries of one set share their field, and a list never changes in place
                    <tr key={i}>
                      <th scope="row">{capital(wordsOf(field.field))}</th>
                      <td>
                        {field.before !== undefined && (
                          <del className={classes.before}>
                            <span aria-hidden>− </span>
                            {saidOf(field.field, field.before, nameOf)}
                          </del>
                        )}
                        {field.after !== undefined && (
                          <ins className={classes.after}>
                            <span aria-hidden>+ </span>
                            {saidOf(field.field, field.after, nameOf)}
                          </ins>
                        )}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            )}
            {(change.left_out ?? 0) > 0 && (
              <Text size="sm" c="dimmed" px={12} py={8}>
                and {change.left_out} more fields
              </Text>
            )}
          </Paper>
        )
      })}
    </Stack>
  )
}
