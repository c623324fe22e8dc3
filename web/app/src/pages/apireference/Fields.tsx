import { Group, Text } from '@mantine/core'
import type { ReactNode } from 'react'
import classes from './ApiReference.module.css'
import type { Contract, Raw } from './contract'
import { type Field, fieldsOf } from './fields'
import { Opens } from './Opens'
import { Words } from './Prose'

interface Props {
  contract: Contract
  schema: Raw
  /** The names of what one came through, so that nothing is shown inside of itself. */
  trail: readonly string[]
}

/** The fields of an object; those of a field when somebody wants to see them. */
export function Fields({ contract, schema, trail }: Props) {
  return (
    <ul className={classes.fields}>
      {fieldsOf(contract.schemas, schema, trail).map((field) => (
        <FieldRow key={field.name} field={field}>
          {field.inner && !field.again && (
            <Opens closed={`Show the fields of ${field.name}`} opened={`Hide the fields of ${field.name}`}>
              <Fields contract={contract} schema={field.inner} trail={field.of ? [...trail, field.of] : trail} />
            </Opens>
          )}
        </FieldRow>
      ))}
    </ul>
  )
}

interface RowProps {
  field: Field
  /** Where it is sent, for a parameter. */
  place?: string
  children?: ReactNode
}

/** One field: its name, what it is, whether it is needed, and its limits. */
export function FieldRow({ field, place, children }: RowProps) {
  const { name, type, required, about, bounds, again } = field
  return (
    <li className={classes.field}>
      <Group gap={8}>
        <code className={classes.name}>{name}</code>
        <Text size="sm" c="dimmed">
          {type}
          {place && `, ${place}`}
          {again && ', as above'}
        </Text>
        {required && (
          <Text size="sm" fw={500}>
            needed
          </Text>
        )}
      </Group>
      {about && (
        <Text size="md">
          <Words text={about.replaceAll('\n', ' ')} />
        </Text>
      )}
      {bounds.length > 0 && (
        <Text size="sm" c="dimmed" className={classes.bounds}>
          {bounds.join(' · ')}
        </Text>
      )}
      {children}
    </li>
  )
}
