import { Anchor, Button, Stack, Text } from '@mantine/core'
import { IconArrowLeft, IconDownload } from '@tabler/icons-react'
import { queryOptions, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { prefix } from '../../api/client'
import { contractText } from '../../api/installation'
import { Section } from '../../parts/Facts'
import { paths } from '../../paths'
import { leads, one, useFilters } from '../../search'
import { lazily } from '../../ui/lazily'
import { Page } from '../../ui/Page'
import { Failed, Loading } from '../../ui/states'
import classes from './ApiReference.module.css'
import type { Contract } from './contract'
import { OperationList } from './OperationList'
import { Prose } from './Prose'

const OperationView = lazily(() => import('./OperationView'), 'OperationView')

const address = `${prefix}/openapi.yaml`

/** The contract of the server. What reads it is fetched after its text. */
const contractQuery = queryOptions({
  queryKey: ['installation', 'contract'] as const,
  queryFn: async () => {
    const text = await contractText()
    const { read } = await import('./contract')
    return read(text)
  },
  staleTime: Number.POSITIVE_INFINITY,
  structuralSharing: false, // it has maps, and is read once
})

/** Every call of the API, as this server takes it. */
export function ApiReference() {
  const contract = useQuery(contractQuery)
  return (
    <Page
      title="API reference"
      about="Every call that this server takes: what somebody needs for it, what it takes, what it answers, and how it may fail."
      actions={
        <Button
          component="a"
          href={address}
          download="openapi.yaml"
          variant="default"
          leftSection={<IconDownload size={16} aria-hidden />}
        >
          Download the OpenAPI text
        </Button>
      }
    >
      {contract.error && !contract.data ? (
        <Failed error={contract.error} again={() => void contract.refetch()} />
      ) : contract.data ? (
        <Reader contract={contract.data} />
      ) : (
        <Loading what="Reading the contract" />
      )}
    </Page>
  )
}

function Reader({ contract }: { contract: Contract }) {
  const [search] = useFilters()
  const id = one(search, 'operation')
  const operation = contract.operations.find((candidate) => candidate.id === id)
  return (
    <div className={classes.reader}>
      <nav aria-label="Calls" className={classes.side} data-aside={id !== '' || undefined}>
        <OperationList contract={contract} current={id} />
      </nav>
      <div className={classes.main}>
        {id !== '' && (
          <Anchor component={Link} to={paths.api()} className={classes.back}>
            <IconArrowLeft size={15} aria-hidden /> All calls
          </Anchor>
        )}
        {operation ? (
          <OperationView key={operation.id} contract={contract} operation={operation} />
        ) : id !== '' ? (
          <Text role="status">There is no call {id}. Look for it in the list.</Text>
        ) : (
          <Begin contract={contract} />
        )}
      </div>
    </div>
  )
}

function Begin({ contract }: { contract: Contract }) {
  return (
    <Stack gap={20}>
      <Section title="How to call it">
        <Prose text={contract.description} />
        <Text>
          A program sends its token as <code>Authorization: Bearer …</code>. It gets one as a{' '}
          <Anchor component={Link} {...leads(paths.machines())} inherit>
            machine
          </Anchor>
          . Calls are below <code>{prefix}</code>.
        </Text>
      </Section>
      <Section title={`${contract.operations.length} calls`}>
        <dl className={classes.tags}>
          {contract.tags.map(({ name, description }) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{description}</dd>
            </div>
          ))}
        </dl>
      </Section>
    </Stack>
  )
}
