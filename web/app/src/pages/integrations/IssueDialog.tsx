import { Button, Checkbox, Group, Modal, NativeSelect, Stack, Text, TextInput } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { newKey, type Schema } from '../../api/client'
import { governanceQuery, permissionsQuery } from '../../api/governance'
import { type IssuedToken, issueToken, type Machine } from '../../api/machines'
import { Problem } from '../../parts/Problem'
import { ScopeInputs } from '../../parts/ScopeInputs'
import { bare, type ScopeText } from '../../parts/scopeText'
import { clock } from '../../session/renewal'
import { useMe } from '../../session/who'
import { CodeBlock } from '../../ui/CodeBlock'
import { CopyButton } from '../../ui/CopyButton'
import { DialogButtons } from '../../ui/DialogButtons'
import { ShownOnce } from '../../ui/ShownOnce'
import { submits } from '../../ui/submits'
import { useAttempt } from '../../ui/useAttempt'
import { When } from '../../ui/When'
import { nameRule, wrongName } from './machineWords'
import { curlCommand, sbCommand } from './tokenCommand'

type Permission = Schema['Permission']

const day = 86_400_000

/** Makes a token and shows it: in this dialog, and nowhere else. */
export function IssueDialog({ machine, close }: { machine: Machine; close: () => void }) {
  const [made, setMade] = useState<IssuedToken>()
  return (
    <Modal
      opened
      onClose={close}
      title={made ? `A token for ${machine.name}` : `Make a token for ${machine.name}`}
      size="lg"
      closeOnClickOutside={!made}
    >
      {made ? <Made token={made} close={close} /> : <Ask machine={machine} close={close} made={setMade} />}
    </Modal>
  )
}

interface AskProps {
  machine: Machine
  close: () => void
  made: (token: IssuedToken) => void
}

function Ask({ machine, close, made }: AskProps) {
  const [name, setName] = useState('')
  const [permissions, setPermissions] = useState<Permission[]>([])
  const [scope, setScope] = useState<ScopeText>({})
  const [days, setDays] = useState('90')
  const { busy, error, attempt } = useAttempt()
  const key = useRef(newKey())
  const submit = async () => {
    await attempt(async () => {
      try {
        const until = new Date(clock.now() + Number(days) * day).toISOString()
        made(await issueToken(machine.id, { name, permissions, scope: bare(scope), until }, key.current))
      } catch (caught) {
        key.current = newKey() // a token is never told twice, so the same key would be refused
        throw caught
      }
    })
  }
  return (
    <form onSubmit={submits(submit)}>
      <Stack>
        <TextInput
          label="Name"
          description="Where it will be, such as the name of the pipeline."
          placeholder="deploy"
          required
          withAsterisk={false}
          maxLength={40}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={wrongName(name)}
          data-autofocus
        />
        <Permissions machine={machine} value={permissions} change={setPermissions} />
        <ScopeInputs value={scope} change={setScope} />
        <NativeSelect
          label="It ends in"
          value={days}
          onChange={(event) => setDays(event.currentTarget.value)}
          data={[
            { value: '7', label: '7 days' },
            { value: '30', label: '30 days' },
            { value: '90', label: '90 days' },
            { value: '365', label: 'a year' },
          ]}
        />
        <Problem error={error} />
        <DialogButtons close={close} busy={busy} disabled={!nameRule.test(name) || permissions.length === 0}>
          Make the token
        </DialogButtons>
      </Stack>
    </form>
  )
}

interface PermissionsProps {
  machine: Machine
  value: Permission[]
  change: (permissions: Permission[]) => void
}

/** What the token may do: of what the machine's roles give, for they are the most. Without known roles, of everything. */
function Permissions({ machine, value, change }: PermissionsProps) {
  const may = useMe().permissions.includes('governance.read')
  const known = useQuery(permissionsQuery)
  const governance = useQuery({ ...governanceQuery, enabled: may })
  const holds = new Map<string, readonly string[]>([
    ...(known.data?.roles ?? []).map(({ name, permissions }) => [name, permissions] as const),
    ...(governance.data?.objects ?? [])
      .filter(({ kind }) => kind === 'Role')
      .map(({ name, spec }) => [name, (spec as { permissions?: string[] }).permissions ?? []] as const),
  ])
  const given = machine.grants.map(({ role }) => holds.get(role))
  const all = given.length === 0 || given.includes(undefined)
  const some = new Set(given.flatMap((permissions) => permissions ?? []))
  const offered = (known.data?.permissions ?? []).filter(({ permission }) => all || some.has(permission))
  return (
    <Checkbox.Group
      label="It may"
      description={
        machine.grants.length === 0
          ? 'The machine has no role yet: until it gets one, the token can do nothing.'
          : 'At most what the roles of the machine give. Machines never decide on what others ask for.'
      }
      value={value}
      onChange={(next) => change(next as Permission[])}
    >
      <Stack gap={8} mt={8}>
        {offered.map(({ permission, sentence: words }) => (
          <Checkbox key={permission} value={permission} label={words} />
        ))}
      </Stack>
    </Checkbox.Group>
  )
}

function Made({ token, close }: { token: IssuedToken; close: () => void }) {
  const server = window.location.origin
  const commands = [
    { what: 'the commands for sb', label: 'How sb uses it', text: sbCommand(server) },
    { what: 'the command for curl', label: 'How curl uses it', text: curlCommand(server) },
  ]
  return (
    <Stack>
      <Text>
        Put it where your secrets are kept, such as the secret store of your pipeline. Whoever has it comes in as the
        machine, until it ends <When at={token.until} /> or is revoked.
      </Text>
      <ShownOnce what="token" text={token.token} />
      <Text>The program takes it from its environment:</Text>
      {commands.map(({ what, label, text }) => (
        <CodeBlock key={label} label={label} action={<CopyButton text={text} what={what} />}>
          {text}
        </CodeBlock>
      ))}
      <Group justify="flex-end">
        <Button variant="default" onClick={close}>
          Close
        </Button>
      </Group>
    </Stack>
  )
}
