import { Button, Group } from '@mantine/core'
import { useMediaQuery } from '@mantine/hooks'
import { IconCertificate, IconFilter, IconHistory } from '@tabler/icons-react'
import { useEffect, useMemo, useState } from 'react'
import { eventsQuery } from '../../api/audit'
import { useListing } from '../../api/listing'
import { firstsOf } from '../../parts/FactSentence'
import { useNames } from '../../parts/facts/names'
import type { FactEvent } from '../../parts/factWords'
import { ListTable } from '../../parts/ListTable'
import { one, useFilters } from '../../search'
import { clock } from '../../session/renewal'
import { lazily } from '../../ui/lazily'
import { Page } from '../../ui/Page'
import { Empty } from '../../ui/states'
import { ActiveFilters, filterNames } from './ActiveFilters'
import classes from './Audit.module.css'
import { columnsOf } from './columns'
import { ExportButton } from './ExportButton'
import { Facets } from './Facets'
import { queryOf } from './filters'
import { Histogram } from './Histogram'
import { NewerFacts } from './NewerFacts'
import { RangePicker } from './RangePicker'
import { timesOf } from './range'
import { SavedViews } from './SavedViews'
import { TextSearch } from './TextSearch'

const EventPanel = lazily(() => import('./EventPanel'), 'EventPanel')
const ProofPanel = lazily(() => import('./ProofPanel'), 'ProofPanel')

/** Every fact of the log, to be narrowed, counted, read and taken along. */
export function Explorer() {
  const [search, change] = useFilters()
  const [look, setLook] = useState(clock.now)
  const [shown, setShown] = useState<FactEvent>()
  const [facets, setFacets] = useState(false)
  const [proof, setProof] = useState(false)
  const roomy = useMediaQuery('(min-width: 1500px)')
  const names = useNames()
  // biome-ignore lint/correctness/useExhaustiveDependencies: the same address is the same query
  const query = useMemo(() => queryOf(search, look), [JSON.stringify(search), look])
  const list = useListing(eventsQuery(query, look))
  const events = list.rows
  const firsts = useMemo(() => firstsOf(events), [events])
  const columns = useMemo(() => columnsOf(names, firsts, roomy), [names, firsts, roomy])
  const place = shown ? events.findIndex(({ id }) => id === shown.id) : -1
  // biome-ignore lint/correctness/useExhaustiveDependencies: another query shows other facts
  useEffect(() => setShown(undefined), [query])
  const clear = (...filters: string[]) => change(Object.fromEntries(filters.map((name) => [name, ''])))
  return (
    <Page
      title="Audit"
      about="All that happened or was refused, newest first. Nothing in it is ever changed or removed."
      actions={
        <>
          <Button
            variant="default"
            leftSection={<IconCertificate size={16} aria-hidden />}
            onClick={() => setProof(true)}
          >
            Proof
          </Button>
          <SavedViews search={search} />
          <ExportButton query={query} />
        </>
      }
    >
      <Group gap={12}>
        <TextSearch text={one(search, 'text')} change={(text) => change({ text }, { replace: true })} />
        <Button
          variant="default"
          hiddenFrom="md"
          leftSection={<IconFilter size={16} aria-hidden />}
          aria-expanded={facets}
          aria-controls="audit-facets"
          onClick={() => setFacets(!facets)}
        >
          Filters
        </Button>
        <RangePicker
          key={`${one(search, 'since')} ${one(search, 'until')}`}
          times={timesOf(search, look)}
          change={change}
        />
      </Group>
      <ActiveFilters query={query} names={names} clear={clear} />
      <div className={classes.body}>
        <aside id="audit-facets" aria-label="Narrow down" className={classes.side} data-opened={facets || undefined}>
          <Facets query={query} look={look} names={names} change={change} />
        </aside>
        <div className={classes.content}>
          <Histogram query={query} look={look} choose={(since, until) => change({ range: '', since, until })} />
          <NewerFacts
            query={query}
            newest={events[0]}
            ready={!list.loading && !list.before}
            show={() => setLook(clock.now())}
          />
          <ListTable
            key={look}
            // What is newer is told above.
            list={{ ...list, old: false }}
            label="Facts"
            columns={columns}
            keyOf={(event) => event.id}
            open={setShown}
            selected={shown?.id}
            rowHeight={56}
            empty={<Nothing clear={() => change({ ...emptied, range: 'any' })} />}
          />
        </div>
      </div>
      {proof && <ProofPanel opened close={() => setProof(false)} />}
      <EventPanel
        event={shown}
        names={names}
        firsts={firsts}
        show={setShown}
        newer={place > 0 ? events[place - 1] : undefined}
        older={place >= 0 ? events[place + 1] : undefined}
      />
    </Page>
  )
}

const emptied = Object.fromEntries([...filterNames, 'text', 'since', 'until'].map((name) => [name, '']))

function Nothing({ clear }: { clear: () => void }) {
  return (
    <Empty
      icon={IconHistory}
      title="Nothing like that happened"
      actions={
        <Button variant="default" onClick={clear}>
          Show everything
        </Button>
      }
    >
      No fact of the log matches these filters in this time.
    </Empty>
  )
}
