import { Badge, Button, NativeSelect, Tabs, Text, TextInput } from '@mantine/core'
import { IconPlus, IconScale, IconSearch } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { lazy, Suspense } from 'react'
import type { Governance } from '../../api/governance'
import { useDrafted } from '../../parts/change/drafts'
import { Gone } from '../../parts/governance/Gone'
import { find, ofKind, type Typed } from '../../parts/governance/objects'
import { inOrder } from '../../parts/governance/order'
import { WithGovernance } from '../../parts/governance/WithGovernance'
import { effectWords, sentenceOf } from '../../parts/governance/words'
import { paths } from '../../paths'
import { one, type Search, useFilters } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { Page } from '../../ui/Page'
import { Empty, Loading } from '../../ui/states'
import { InstallationSettings } from './InstallationSettings'
import classes from './Policies.module.css'

const RuleEditor = lazy(() => import('./RuleEditor'))
const SettingsEditor = lazy(() => import('./SettingsEditor'))
const TryIt = lazy(() => import('../../parts/change/TryIt'))

const title = 'Policies'
const about = 'Who may ask for what, and what it takes. Rules stand in the order in which they decide.'

export function Policies() {
  return (
    <WithGovernance title={title} about={about} doing="read the policies">
      {(governance) => <Shown governance={governance} />}
    </WithGovernance>
  )
}

function Shown({ governance }: { governance: Governance }) {
  const [search, change] = useFilters()
  const name = one(search, 'rule')
  const leave = () => change({ rule: '', new: '' })
  if (name || one(search, 'new')) {
    const thing = name ? find(governance, 'Rule', name) : undefined
    if (name && !thing) return <Gone title={title} what={`a rule ${name}`} leave={leave} />
    return (
      <Suspense fallback={<Loading />}>
        <RuleEditor key={name} rule={thing} governance={governance} leave={leave} />
      </Suspense>
    )
  }
  const tab = one(search, 'tab') || 'rules'
  if (tab === 'settings' && one(search, 'edit')) {
    return (
      <Suspense fallback={<Loading />}>
        <SettingsEditor governance={governance} leave={() => change({ edit: '' })} />
      </Suspense>
    )
  }
  return (
    <Page title={title} about={about} actions={<NewRule start={() => change({ new: 'rule' })} />}>
      <Tabs value={tab} onChange={(next) => change({ tab: next === 'rules' ? '' : (next ?? '') })} keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="rules">Rules</Tabs.Tab>
          <Tabs.Tab value="try">Try it</Tabs.Tab>
          <Tabs.Tab value="settings">Settings</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="rules" pt={16}>
          <Rules governance={governance} search={search} change={change} />
        </Tabs.Panel>
        <Tabs.Panel value="try" pt={16} className={classes.narrow}>
          <Suspense fallback={<Loading />}>
            <TryIt />
          </Suspense>
        </Tabs.Panel>
        <Tabs.Panel value="settings" pt={16}>
          <InstallationSettings governance={governance} edit={() => change({ edit: 'settings' })} />
        </Tabs.Panel>
      </Tabs>
    </Page>
  )
}

function NewRule({ start }: { start: () => void }) {
  return (
    <ActionButton
      blocked={whyNot(useMe(), 'governance.manage', 'write rules')}
      leftSection={<IconPlus size={15} />}
      onClick={start}
    >
      New rule
    </ActionButton>
  )
}

interface RulesProps {
  governance: Governance
  search: Search
  change: (next: Search, options?: { replace?: boolean }) => void
}

function Rules({ governance, search, change }: RulesProps) {
  const rules = ofKind(governance, 'Rule')
  const teams = new Map(ofKind(governance, 'Team').map((team) => [team.name, team.spec]))
  const text = one(search, 'text').toLowerCase()
  const effect = one(search, 'effect')
  const shown = rules.filter(
    (rule) =>
      (!effect || rule.spec.effect === effect) &&
      (!text || `${rule.name} ${JSON.stringify(rule.spec)}`.toLowerCase().includes(text)),
  )
  const drafted = useDrafted('Rule')
  if (rules.length === 0) {
    return (
      <Empty icon={IconScale} title="There is no rule, so nobody may ask for anything">
        A rule says what may be asked for, where, and which workflow has to approve.
      </Empty>
    )
  }
  return (
    <>
      <div className={classes.filters}>
        <TextInput
          aria-label="Filter rules"
          placeholder="Filter by name, place, workflow…"
          leftSection={<IconSearch size={15} aria-hidden />}
          value={one(search, 'text')}
          onChange={(event) => change({ text: event.currentTarget.value }, { replace: true })}
        />
        <NativeSelect
          aria-label="Effect"
          data={[
            { value: '', label: 'Any effect' },
            ...Object.entries(effectWords).map(([value, words]) => ({ value, label: words.label })),
          ]}
          value={effect}
          onChange={(event) => change({ effect: event.currentTarget.value })}
        />
      </div>
      {shown.length === 0 && (
        <Empty
          icon={IconSearch}
          title="No rule fits"
          actions={
            <Button variant="default" onClick={() => change({ text: '', effect: '' })}>
              Clear the filters
            </Button>
          }
        />
      )}
      {inOrder(shown, teams).map((group) => (
        <section key={group.id} aria-labelledby={`rules-${group.id}`} className={classes.group}>
          <h2 id={`rules-${group.id}`} className={classes.heading}>
            {group.title}
          </h2>
          <Text c="dimmed" size="md" mb={8}>
            {group.says}
          </Text>
          <ol className={classes.list}>
            {group.rules.map((rule) => (
              <RuleRow key={rule.name} rule={rule} draft={drafted(rule.name)} />
            ))}
          </ol>
        </section>
      ))}
    </>
  )
}

function RuleRow({ rule, draft }: { rule: Typed<'Rule'>; draft: boolean }) {
  const words = effectWords[rule.spec.effect ?? 'deny']
  return (
    <li className={classes.row} data-off={rule.spec.disabled || undefined}>
      <Badge color={rule.spec.disabled ? 'gray' : words.tone} className={classes.effect}>
        {words.label}
      </Badge>
      <div className={classes.body}>
        <Link to={paths.rule(rule.name)} className={classes.name}>
          {rule.name}
        </Link>
        {draft && (
          <Badge color="gray" ml={8}>
            Draft
          </Badge>
        )}
        <Text size="md">{sentenceOf(rule.spec)}</Text>
        {rule.spec.description && (
          <Text size="md" c="dimmed">
            {rule.spec.description}
          </Text>
        )}
        {rule.spec.when && <code className={classes.when}>{rule.spec.when}</code>}
      </div>
      {rule.spec.workflow && (
        <Link to={paths.workflow(rule.spec.workflow)} className={classes.workflow}>
          {rule.spec.workflow}
        </Link>
      )}
    </li>
  )
}
