import { Anchor, Code, Group, Stack, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { prefix } from '../../api/client'
import { permissionsQuery } from '../../api/governance'
import { useMe } from '../../session/who'
import { CodeBlock } from '../../ui/CodeBlock'
import { CopyButton } from '../../ui/CopyButton'
import classes from './ApiReference.module.css'
import type { Content, Contract, Operation } from './contract'
import { bodyOf, curlOf } from './example'
import { FieldRow, Fields } from './Fields'
import { described, typeOf } from './fields'
import { Method } from './Method'
import { Opens } from './Opens'
import { Prose, Words } from './Prose'

/** One call, from what it is for to how it may fail. */
export function OperationView({ contract, operation }: { contract: Contract; operation: Operation }) {
  const { schemas } = contract
  const { parameters, body, answers } = operation
  const curl = curlOf(operation, window.location.origin)
  return (
    <article aria-label={operation.summary} className={classes.operation}>
      <Stack gap={6}>
        <Title order={2}>{operation.summary}</Title>
        <Group gap={8} className={classes.address}>
          <Method of={operation.method} />
          <code>
            {prefix}
            {operation.path}
          </code>
          <CopyButton text={`${prefix}${operation.path}`} what="the path" />
        </Group>
      </Stack>
      <Prose text={operation.description} />
      <Needs permission={operation.permission} />
      {parameters.length > 0 && (
        <Part title="Parameters">
          <ul className={classes.fields}>
            {parameters.map((parameter) => {
              const { inner: _, ...about } = described(schemas, parameter.schema)
              const field = { ...about, name: parameter.name, required: parameter.required }
              return (
                <FieldRow
                  key={`${parameter.in} ${parameter.name}`}
                  field={{ ...field, about: parameter.description || about.about }}
                  place={places[parameter.in]}
                />
              )
            })}
          </ul>
        </Part>
      )}
      {body && (
        <Part title="What it takes">
          <Shape contract={contract} content={body} />
        </Part>
      )}
      <Part title="What it answers">
        {answers.map(({ status, description, content }) => (
          <Stack key={status} gap={6}>
            <Text>
              <Code>{status}</Code> <Words text={description} />
            </Text>
            {content && <Shape contract={contract} content={content} />}
          </Stack>
        ))}
      </Part>
      <Part title="Example">
        <CodeBlock label="The call by curl" action={<CopyButton text={curl} what="the call" />}>
          {curl}
        </CodeBlock>
        {body?.type === 'application/json' && (
          <Sample label="body.json, which it sends" value={bodyOf(schemas, body.schema)} />
        )}
        {answers.map(
          ({ status, content }) =>
            content?.type === 'application/json' && (
              <Opens key={status} closed={`Show an answer, ${status}`} opened={`Hide the answer, ${status}`}>
                <Sample label={`An answer, ${status}`} value={bodyOf(schemas, content.schema)} />
              </Opens>
            ),
        )}
      </Part>
      <Part title="How it may fail">
        <Opens closed={`Show the ${operation.codes.length} codes`} opened="Hide the codes">
          <ul className={classes.fields}>
            {operation.codes.map((code) => (
              <li key={code} className={classes.field}>
                <Group gap={8}>
                  <Code>{code}</Code>
                  <Text size="sm" c="dimmed">
                    {contract.problems.get(code)?.status}
                  </Text>
                </Group>
                <Text size="md">
                  <Words text={contract.problems.get(code)?.detail ?? ''} />
                </Text>
              </li>
            ))}
          </ul>
        </Opens>
      </Part>
      <Text size="sm" c="dimmed">
        Its name in generated clients is <Code>{operation.id}</Code>.{' '}
        <Anchor href={`?operation=${operation.id}`} inherit>
          Link to this call
        </Anchor>
      </Text>
    </article>
  )
}

const places = { path: 'in the path', query: 'in the query', header: 'as a header' } as const

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section aria-label={title} className={classes.part}>
      <Title order={3}>{title}</Title>
      {children}
    </section>
  )
}

/** What somebody needs to make the call, and whether the reader has it. */
function Needs({ permission }: { permission: string }) {
  const me = useMe()
  const known = useQuery(permissionsQuery)
  if (permission === 'public') return <Text>Anybody may call it, also without signing in.</Text>
  if (permission === 'session') {
    return <Text>Whoever is signed in may call it. What they see or may do by it depends on their roles.</Text>
  }
  const words = known.data?.permissions.find((p) => p.permission === permission)?.sentence
  const has = me.permissions.some((mine) => mine === permission)
  return (
    <Text>
      It needs <Code>{permission}</Code>
      {words && `, the permission to ${words}`}. {has ? 'You have it.' : 'You do not have it.'}
    </Text>
  )
}

/** What is sent or answered: its fields, or what it is where it has none. */
function Shape({ contract, content }: { contract: Contract; content: Content }) {
  const { inner, of, about } = described(contract.schemas, content.schema)
  return (
    <Stack gap={6}>
      <Text size="sm" c="dimmed">
        {content.type}
        {inner && `: ${typeOf(contract.schemas, content.schema)}`}
      </Text>
      {about && <Prose text={about} />}
      {inner && <Fields contract={contract} schema={inner} trail={of ? [of] : []} />}
    </Stack>
  )
}

function Sample({ label, value }: { label: string; value: unknown }) {
  const text = JSON.stringify(value, null, 2)
  return (
    <CodeBlock label={label} action={<CopyButton text={text} what={label} />}>
      {text}
    </CodeBlock>
  )
}
