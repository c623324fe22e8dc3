import { Anchor, Code, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { type Installation, installationQuery } from '../../api/installation'
import { Facts, Section } from '../../parts/Facts'
import { paths } from '../../paths'
import { leads } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { CodeBlock } from '../../ui/CodeBlock'
import { CopyButton } from '../../ui/CopyButton'
import { Failed, Loading } from '../../ui/states'
import { span } from '../../ui/time'
import { When } from '../../ui/When'
import { apply, auditExport, auditExportByCurl, gitopsSettings, mailSettings, signOn } from './operatorCommands'
import { size } from './size'

/** What is set up here, and how an operator sets up what is not. */
export function Connected() {
  const installation = useQuery(installationQuery)
  if (installation.error && !installation.data) {
    return <Failed error={installation.error} again={() => void installation.refetch()} />
  }
  if (!installation.data) return <Loading what="Loading what is set up here" />
  return (
    <Stack gap={20} maw={860}>
      <SignOn of={installation.data} />
      <Passkeys of={installation.data} />
      <KeyManager of={installation.data} />
      <AsCode />
      <Exports />
      <Mail of={installation.data} />
      <Rollouts of={installation.data} />
      <Limits of={installation.data} />
      <Server of={installation.data} />
    </Stack>
  )
}

interface Props {
  of: Installation
}

function SignOn({ of }: Props) {
  return (
    <Section title="Single sign-on">
      {of.sso_issuer ? (
        <>
          <Facts of={[['Identity provider', of.sso_issuer]]} />
          <Text c="dimmed">
            People sign in there. Their groups there can give them roles here; whoever has a password keeps it.
          </Text>
        </>
      ) : (
        <>
          <Text>
            There is none: people sign in with a password. An operator joins an OpenID provider by the settings of the
            server, and starts it again.
          </Text>
          <Command label="Settings of the server for single sign-on" text={signOn(window.location.origin)} />
        </>
      )}
    </Section>
  )
}

function Mail({ of: { mail } }: Props) {
  return (
    <Section title="Notices by mail">
      {mail ? (
        <Text>People are told by e-mail, unless they choose another way.</Text>
      ) : (
        <>
          <Text>
            This server sends no mail. An operator sets up a mail server by the settings, and starts it again; until
            then people can choose a webhook of their own.
          </Text>
          <Command label="Settings of the server for mail" text={mailSettings} />
        </>
      )}
      <Text c="dimmed">
        Everybody chooses in the{' '}
        <Anchor component={Link} to={paths.settings()}>
          settings
        </Anchor>{' '}
        how they are told. Channels of Slack and Teams, and programs, are{' '}
        <Anchor component={Link} to={paths.integrations()}>
          integrations
        </Anchor>
        .
      </Text>
    </Section>
  )
}

function Rollouts({ of: { gitops } }: Props) {
  return (
    <Section title="Rollouts">
      {gitops ? (
        <Text>
          A change is watched in the applications that are mapped to its secret, until it is live on every pod or the
          time for it is over.
        </Text>
      ) : (
        <>
          <Text>
            Nothing is watched: a change counts as done when it is written. An operator lets the server watch where the
            secret is used.
          </Text>
          <Command label="Settings of the server for rollouts" text={gitopsSettings} />
        </>
      )}
    </Section>
  )
}

function Passkeys({ of: { passkeys } }: Props) {
  return (
    <Section title="Passkeys">
      <Facts
        of={[
          ['They belong to', passkeys.id],
          ['Used from', passkeys.origins.join(', ')],
        ]}
      />
      {!passkeys.origins.includes(window.location.origin) && (
        <Text>They do not work at the address that you have open.</Text>
      )}
      <Text c="dimmed">
        A passkey of another domain is of no use, so an operator chooses it once, by <Code>SB_WEBAUTHN_RP_ID</Code> and{' '}
        <Code>SB_WEBAUTHN_ORIGINS</Code>. Yours are in the{' '}
        <Anchor component={Link} to={paths.settings()}>
          settings
        </Anchor>
        .
      </Text>
    </Section>
  )
}

const managers: Record<NonNullable<Installation['operation']>['key_manager'], string> = {
  local: 'Keys on the disk of the server, for development',
  'vault-transit': 'Transit of Vault',
  'aws-kms': 'AWS Key Management Service',
}

function KeyManager({ of: { operation } }: Props) {
  const me = useMe()
  return (
    <Section title="Key manager">
      {operation ? (
        <>
          <Facts of={[['Wraps the keys', managers[operation.key_manager]]]} />
          <Text c="dimmed">
            No value is kept in clear: each has a key of its own, which this one wraps. An operator sets it by{' '}
            <Code>SB_KMS</Code>.
          </Text>
        </>
      ) : (
        <Text c="dimmed">
          {whyNot(me, 'governance.read', 'see which one it is') ??
            'You may not see which one it is: you read the governance in a part of the world only.'}
        </Text>
      )}
    </Section>
  )
}

function AsCode() {
  return (
    <Section title="Configuration as code">
      <Text>
        Teams, projects, workflows, rules and roles are files, if you like: export them once, keep them in git, and have
        a pipeline bring the installation to what they say. The same files twice change nothing.
      </Text>
      <Command label="Commands that export and apply the governance" text={apply} />
      <Text c="dimmed">
        A pipeline comes in as a{' '}
        <Anchor component={Link} {...leads(paths.machines())}>
          machine
        </Anchor>
        . Where changes need approval, it proposes one.
      </Text>
    </Section>
  )
}

function Exports() {
  const blocked = whyNot(useMe(), 'audit.read', 'export the audit')
  return (
    <Section title="Audit export">
      <Text>
        Every fact as a line of JSON, oldest first, for the store where you keep such things. Each run goes on where the
        one before ended.
      </Text>
      <Command label="Command that exports the audit" text={auditExport} />
      <Command label="Call that exports the audit" text={auditExportByCurl(window.location.origin)} />
      {blocked && <Text c="dimmed">{blocked}</Text>}
    </Section>
  )
}

function Limits({ of: { limits } }: Props) {
  return (
    <Section title="Limits that people meet">
      <Facts
        of={[
          ['Waits for approval', span(limits.pending_seconds)],
          ['Approved, waits', `${span(limits.approval_seconds)} to be carried out`],
          ['A value waits', `${span(limits.reveal_seconds)} to be seen`],
          ['Open requests', `${limits.open_requests.toLocaleString('en')} of one person`],
          ['Values of a request', `${size(limits.upload_bytes)} at most`],
          ['A session lasts', span(limits.session_seconds)],
          ['Of a browser, unused', span(limits.browser_idle_seconds)],
        ]}
      />
      <Text c="dimmed">A workflow may set other times for its requests.</Text>
    </Section>
  )
}

function Server({ of }: Props) {
  const { version, operation, agents } = of
  return (
    <Section title="Server">
      <Facts
        of={[
          ['Version', version],
          ['Started', operation && <When key="started" at={operation.started_at} />],
          [
            'Agents',
            agents && (
              <Anchor key="agents" component={Link} to={paths.agents()} inherit>
                {`${agents.online} of ${agents.enrolled} online`}
              </Anchor>
            ),
          ],
          [
            'API',
            <Anchor key="api" component={Link} to={paths.api()} inherit>
              Reference of every call
            </Anchor>,
          ],
        ]}
      />
    </Section>
  )
}

function Command({ label, text }: { label: string; text: string }) {
  return (
    <CodeBlock label={label} action={<CopyButton text={text} what={label.toLowerCase()} />}>
      {text}
    </CodeBlock>
  )
}
