import { Badge, Group, Paper, Stack, Text, Title } from '@mantine/core'
import { Fragment } from 'react'
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
          <Paper
            key={`${change.kind}/${change.name}`}
            withBorder
            radius="md"
            bg="var(--sb-surface)"
            className={classes.object}
          >
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
                  {byField(change.fields).map(([name, fields]) => (
                    <tr key={name}>
                      <th scope="row">{capital(wordsOf(name))}</th>
                      <td>
                        {fields.map(({ before, after }) => (
                          <Fragment key={`${before}/${after}`}>
                            {before !== undefined && (
                              <del className={classes.before}>
                                <span aria-hidden>− </span>
                                {saidOf(name, before, nameOf)}
                              </del>
                            )}
                            {after !== undefined && (
                              <ins className={classes.after}>
                                <span aria-hidden>+ </span>
                                {saidOf(name, after, nameOf)}
                              </ins>
                            )}
                          </Fragment>
                        ))}
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

/** byField puts the entries of one set together. */
function byField(fields: ObjectChange['fields']): [string, ObjectChange['fields']][] {
  const groups = new Map<string, ObjectChange['fields']>()
  for (const field of fields) groups.set(field.field, [...(groups.get(field.field) ?? []), field])
  return [...groups]
}
